package allocate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// nodePorts are the distinct node ports that a Service's spec claims. Its ports may share a number under several protocols.
func nodePorts(spec corev1.ServiceSpec) []int32 {
	if spec.Type != corev1.ServiceTypeNodePort && spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	seen := map[int32]bool{0: true}
	var out []int32
	add := func(p int32) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for _, p := range spec.Ports {
		add(p.NodePort)
	}
	add(spec.HealthCheckNodePort)
	return out
}

// wantsNodePorts tells whether ports without a node port are given one.
func wantsNodePorts(spec corev1.ServiceSpec) bool {
	return spec.Type == corev1.ServiceTypeNodePort || spec.Type == corev1.ServiceTypeLoadBalancer &&
		(spec.AllocateLoadBalancerNodePorts == nil || *spec.AllocateLoadBalancerNodePorts)
}

func wantsHealthPort(spec corev1.ServiceSpec) bool {
	return spec.Type == corev1.ServiceTypeLoadBalancer && spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// fillPorts allocates the node ports that the Service names, and ones of the range where it names none. Ports of one
// number under several protocols get one node port.
func (c *Claims) fillPorts(ctx context.Context) error {
	asked, held := c.asked, map[int32]bool{}
	for key := range c.had {
		if p, ok := portOfKey(key); ok {
			held[p] = true
		}
	}
	if err := c.takePorts(ctx, held); err != nil {
		return err
	}
	c.svc.Spec.Ports = slices.Clone(c.svc.Spec.Ports) // an update of the status has those of the old state
	given := map[int32]int32{}                        // by the port's own number
	for _, p := range asked.Ports {
		if p.NodePort != 0 {
			given[p.Port] = p.NodePort
		}
	}
	for i, p := range asked.Ports {
		if p.NodePort != 0 || !wantsNodePorts(asked) {
			continue
		}
		if given[p.Port] == 0 {
			n, err := c.drawPort(ctx)
			if err != nil {
				return err
			}
			given[p.Port] = n
		}
		c.svc.Spec.Ports[i].NodePort = given[p.Port]
	}
	if wantsHealthPort(asked) && asked.HealthCheckNodePort == 0 {
		n, err := c.drawPort(ctx)
		if err != nil {
			return err
		}
		c.svc.Spec.HealthCheckNodePort = n
	}
	return nil
}

// takePorts takes the node ports that are named. held are those the Service has; they grow by what is taken.
func (c *Claims) takePorts(ctx context.Context, held map[int32]bool) error {
	asked := c.asked
	if nodePorts(asked) == nil {
		return nil
	}
	for i, p := range asked.Ports {
		path := field.NewPath("spec", "ports").Index(i).Child("nodePort")
		why, err := c.takePort(ctx, p.NodePort, held)
		if err != nil {
			return err
		}
		if why != "" {
			return refuse(path, p.NodePort, why)
		}
	}
	if p := asked.HealthCheckNodePort; wantsHealthPort(asked) {
		why, err := c.takePort(ctx, p, held)
		if err != nil {
			return err
		}
		if why != "" {
			return refuse(field.NewPath("spec", "healthCheckNodePort"), p,
				fmt.Sprintf("failed to allocate requested HealthCheck NodePort %d: %s", p, why))
		}
	}
	return nil
}

// takePort takes one port; why is the reason of a refusal.
func (c *Claims) takePort(ctx context.Context, p int32, held map[int32]bool) (why string, err error) {
	if p == 0 || held[p] {
		return "", nil
	}
	if lo, hi := c.NodePorts[0], c.NodePorts[1]; int(p) < lo || int(p) > hi {
		return fmt.Sprintf("provided port is not in the valid range. The range of valid ports is %d-%d", lo, hi), nil
	}
	ok, err := c.takeKey(ctx, nodePortKey(p))
	if err != nil {
		return "", err
	}
	if !ok {
		return "provided port is already allocated", nil
	}
	held[p] = true
	c.use(nodePortPrefix, int(p)-c.NodePorts[0])
	return "", nil
}

func (c *Claims) drawPort(ctx context.Context) (int32, error) {
	n, ok, err := c.draw(ctx, ports(c.NodePorts))
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, usedUp("nodePort")
	}
	return int32(c.NodePorts[0] + n), nil
}

func portOfKey(key string) (int32, bool) {
	rest, ok := strings.CutPrefix(key, nodePortPrefix)
	p, err := strconv.ParseInt(rest, 10, 32)
	return int32(p), ok && err == nil
}
