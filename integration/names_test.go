package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestPodsResolveNames checks that pods reach Services by name, and that gantry trace follows the name on the same way.
func TestPodsResolveNames(t *testing.T) {
	c := startCluster(t)
	c.deploy("web", 1)
	name := c.podNames("app=web")[0]
	c.kubectlIn(pod("client", "testpod", "serve"), "apply", "-f", "-")
	c.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
	for _, host := range []string{"web", "web.default", "web.default.svc", "web.default.svc.cluster.local"} {
		c.eventually("an answer of http://"+host, func() (bool, string) {
			got, err := c.command("kubectl", "exec", "client", "--", "testpod", "get", "http://"+host+"/").CombinedOutput()
			return strings.TrimSpace(string(got)) == name, fmt.Sprintf("%q %v", got, err)
		})
	}
	if ports := c.kubectl("-n", "kube-system", "get", "service", "kube-dns", "-o", "jsonpath={.spec.ports[*].port}"); ports != "53 53 9153" {
		t.Errorf("the ports of kube-dns are %q", ports)
	}
	if table := run(t, "nft", "list", "table", "ip", "gantry"); strings.Contains(table, "10.96.0.10 ") {
		t.Errorf("the proxy has the address of the name servers:\n%s", table)
	}
	traced := run(t, gantry, "trace", "--data-dir", c.dir, "web")
	for _, want := range []string{
		"web, as a pod of namespace default asks for it, leads to Pod default/" + name + "\n", "[DNS 10.96.0.10]", "chain pick-1, to one of 10.244.",
		"[/registry/endpointslices/default/web-", "is running, for ", "a socket in the pod listens on ",
	} {
		if !strings.Contains(traced, want) {
			t.Errorf("gantry trace web does not say %q:\n%s", want, traced)
		}
	}
}
