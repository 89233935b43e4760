package network

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"gantry/agents/controllers/plantest"
	"gantry/agents/internal/addressrange"
)

// A case has the Service, other Services, nodes ("name address", "unready" behind), ranges, endpoints and gateways.
func TestLoadBalancerPlans(t *testing.T) {
	plantest.Golden(t, "loadbalancer", func(t *testing.T, files map[string]string) string {
		in := balancing{services: parseServices(t, files["others"])}
		var err error
		if in.ranges, err = addressrange.Parse(strings.Fields(files["ranges"])); err != nil {
			t.Fatal(err)
		}
		svc := parseServices(t, files["service"])[0]
		in.services = append(in.services, svc)
		for line := range strings.Lines(files["nodes"]) {
			in.nodes = append(in.nodes, parseNode(strings.Fields(line)))
		}
		in.endpoints = plantest.Parse[discoveryv1.EndpointSlice](t, files["endpoints"])
		in.gateways = plantest.Parse[discoveryv1.EndpointSlice](t, files["gateways"])
		plan, waits := planLoadBalancer(svc, in, plantest.Now)
		var b strings.Builder
		for _, a := range plan {
			b.WriteString(a.String() + "\n")
			if e := a.Event; e != nil {
				b.WriteString("  event " + map[bool]string{true: "Warning", false: "Normal"}[e.Warning] + " " + e.Reason + ": " + e.Message + "\n")
			}
			next := a.Object.(*corev1.Service)
			text, err := yaml.Marshal(map[string]any{"finalizers": next.Finalizers, "status": next.Status})
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				b.WriteString("    " + line)
			}
		}
		if waits {
			b.WriteString("waits\n")
		}
		if len(plan) > 0 && plan[len(plan)-1].Do == "update status of" {
			// What was written is not written again.
			svc.Finalizers, svc.Status = plan[0].Object.GetFinalizers(), plan[len(plan)-1].Object.(*corev1.Service).Status
			if again, _ := planLoadBalancer(svc, in, plantest.Now.Add(5)); len(again) > 0 {
				t.Errorf("again: %v", again)
			}
		}
		return b.String()
	})
}

// parseServices are Services of which what differs from one of type LoadBalancer is given.
func parseServices(t *testing.T, text string) []*corev1.Service {
	t.Helper()
	list := plantest.Parse[corev1.Service](t, text)
	for _, s := range list {
		s.Namespace, s.UID = "default", types.UID("uid-"+s.Name)
		if s.Spec.Type == "" {
			s.Spec.Type = corev1.ServiceTypeLoadBalancer
		}
	}
	return list
}

func parseNode(fields []string) *corev1.Node {
	n := &corev1.Node{}
	n.Name = fields[0]
	ready := corev1.ConditionTrue
	for _, f := range fields[1:] {
		switch f {
		case "unready":
			ready = corev1.ConditionUnknown
		case "excluded":
			n.Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
		case "leaving":
			n.Spec.Taints = []corev1.Taint{{Key: "ToBeDeletedByClusterAutoscaler"}}
		default:
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: f})
		}
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
	return n
}
