package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// scaled is a Deployment of pods that may use a fifth of a CPU, and an autoscaler that wants them to use a tenth of that.
func scaled() string {
	requests := "image: " + image + "\n        resources: {requests: {cpu: 200m, memory: 20Mi}, limits: {cpu: 200m}}"
	return strings.Replace(web("web", 1), "image: "+image, requests, 1) + `---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 3
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 10}}}
  behavior:
    scaleDown: {stabilizationWindowSeconds: 0}
`
}

// load sends requests to a Service that keep its pods busy, until stop is called.
func load(vip string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if _, err := get("http://" + vip + "/work"); err != nil {
					<-time.After(50 * time.Millisecond) // a pod starts or ends
				}
			}
		})
	}
	return func() {
		cancel()
		clients.Wait()
	}
}

// scaleTime bounds the waits for an autoscaler, which looks every 15 s and wants pods to have been ready for the time that is measured.
const scaleTime = "--timeout=240s"

// TestAutoscale scales a Deployment by the CPU that its pods use, up while it is busy and down afterwards, and shows what is used on the way.
func TestAutoscale(t *testing.T) {
	c := startCluster(t)
	c.kubectlIn(scaled(), "apply", "-f", "-")
	c.kubectl("rollout", "status", "deployment", "web", "--timeout=60s")
	stop := sync.OnceFunc(load(c.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")))
	defer stop()

	c.kubectl("wait", "deployment/web", "--for=jsonpath={.spec.replicas}=3", scaleTime)
	wants(t, c.kubectl("describe", "hpa", "web"), "SuccessfulRescale", "New size: 3; reason: cpu resource utilization (percentage of request) above target", "ScalingActive   True")
	if line := c.kubectl("get", "hpa", "web", "--no-headers"); !regexp.MustCompile(`Deployment/web +cpu: \d+%/10% +1 +3 +[123] `).MatchString(line) {
		t.Errorf("kubectl get hpa: %s", line)
	}
	c.rightUsage()
	c.reviewed()
	c.kubectl("create", "rolebinding", "viewer", "--clusterrole=view", "--user=viewer")
	c.eventually("metrics for whom may view", func() (bool, string) {
		text, err := c.try("", "kubectl", "top", "pods", "--as=viewer", "--no-headers")
		return err == nil && strings.Contains(text, "web-"), text
	})

	stop()
	c.kubectl("wait", "deployment/web", "--for=jsonpath={.spec.replicas}=1", scaleTime)
	wants(t, c.kubectl("describe", "hpa", "web"), "New size: 1; reason: All metrics below target")
}

// rightUsage checks what is shown of the use of the node and of the pods of the Deployment web, which are busy.
func (c *Cluster) rightUsage() {
	c.t.Helper()
	c.eventually("metrics of the three pods", func() (bool, string) {
		text, err := c.try("", "kubectl", "top", "pods", "--containers", "-l", "app=web", "--no-headers")
		return err == nil && len(regexp.MustCompile(`(?m)^web-\S+ +web +\d+m +\d+Mi *$`).FindAllString(text, -1)) == 3, text
	})
	if line := c.kubectl("top", "nodes", "--no-headers"); !regexp.MustCompile(`^` + c.node + ` +\d+m +\d+% +\d+Mi +\d+%`).MatchString(line) {
		c.t.Errorf("kubectl top nodes: %s", line)
	}
	var s statsv1.Summary
	if err := json.Unmarshal([]byte(c.kubectl("get", "--raw", "/api/v1/nodes/"+c.node+"/proxy/stats/summary")), &s); err != nil {
		c.t.Fatal(err)
	}
	if n := s.Node; n.NodeName != c.node || n.CPU == nil || n.Memory == nil || n.Fs == nil || n.Network == nil || n.StartTime.IsZero() {
		c.t.Errorf("the node's summary: %+v", n)
	}
	found := 0
	for _, p := range s.Pods {
		if !strings.HasPrefix(p.PodRef.Name, "web-") {
			continue
		}
		found++
		container := p.Containers[0]
		if container.Name != "web" || *container.CPU.UsageCoreNanoSeconds == 0 || *container.Memory.WorkingSetBytes == 0 || p.Network == nil || p.Network.Name != "eth0" || *p.Network.RxBytes == 0 {
			c.t.Errorf("a pod's summary: %+v", p)
		}
	}
	if found != 3 {
		c.t.Errorf("the summary has %d of the pods", found)
	}
	wants(c.t, c.kubectl("get", "--raw", "/api/v1/nodes/"+c.node+"/proxy/metrics/resource"),
		fmt.Sprintf(`container_cpu_usage_seconds_total{container="web",namespace="default",pod=%q}`, c.podNames("app=web")[0]), "\nresource_scrape_error 0\n")
	wants(c.t, c.kubectl("get", "--raw", "/api/v1/nodes/"+c.node+"/proxy/metrics/cadvisor"), `container_network_receive_bytes_total{container="",`, "\ncontainer_scrape_error 0\n")
}

// reviewed checks that the kubelet asks the gateway who has a token, and what he may.
func (c *Cluster) reviewed() {
	c.t.Helper()
	client := &http.Client{Timeout: waitTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	c.kubectl("create", "serviceaccount", "scraper")
	c.kubectl("create", "clusterrole", "scraper", "--verb=get", "--resource=nodes/metrics")
	c.kubectl("create", "clusterrolebinding", "scraper", "--clusterrole=scraper", "--serviceaccount=default:scraper")
	for token, want := range map[string]string{
		c.kubectl("create", "token", "scraper"): "200 # HELP container_cpu_usage_seconds_total",
		c.kubectl("create", "token", "default"): "403 Forbidden (user=system:serviceaccount:default:default, verb=get, resource=nodes, subresource(s)=[metrics])",
		"nobody's":                              "401 Unauthorized",
	} {
		req, err := http.NewRequest(http.MethodGet, "https://"+nodeIP+":10250/metrics/resource", nil)
		if err != nil {
			c.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			c.t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := fmt.Sprintf("%d %s", resp.StatusCode, text); err != nil || !strings.HasPrefix(got, want) {
			c.t.Errorf("a kubelet asked for metrics with a token: %s %v, want %s", got, err, want)
		}
	}
}
