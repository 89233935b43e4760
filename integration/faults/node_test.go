//go:build faults

package faults

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// buildImage makes an image of the integration tests' pod program alone, until the test ends.
func buildImage(t *testing.T) (image string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "testpod"), "../testpod")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building testpod: %v\n%s", err, out)
	}
	image = fmt.Sprintf("gantry-faults:%d", os.Getpid())
	if out, err := exec.Command("bash", "-c", `set -o pipefail; tar -C "$0" -c testpod | docker import --change 'ENTRYPOINT ["/testpod"]' - "$1"`, dir, image).CombinedOutput(); err != nil {
		t.Fatalf("building the pods' image (does Docker answer?): %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "image", "rm", "-f", image).Run() })
	return image
}

// startNodeAgents runs kubelet, network and proxy on a machine of their own, over this machine's Docker Engine.
func startNodeAgents(t *testing.T, p *plane, e *etcd) *plane {
	t.Helper()
	n := newPlane(t, fmt.Sprintf("faults-%d", os.Getpid()), e.urls(), "--agents", "kubelet,network,proxy", "--gateway", p.url())
	n.share(p)
	t.Cleanup(func() { // after the agents' end
		n.in(func() {
			if out, err := exec.Command(gantry, "down", "--data-dir", n.dir).CombinedOutput(); err != nil {
				t.Errorf("gantry down: %v\n%s", err, out)
			}
		})
		if left := containersOf(t, n); len(left) > 0 {
			t.Errorf("gantry down left %v", left)
		}
	})
	n.run()
	return n
}

// containersOf are the running containers of a node by "<pod> <uid> <container>", without sandboxes.
func containersOf(t *testing.T, n *plane) map[string]string {
	t.Helper()
	const format = `{{.ID}} {{.Label "io.kubernetes.pod.name"}} {{.Label "io.kubernetes.pod.uid"}} {{.Label "io.kubernetes.container.name"}}`
	out, err := exec.Command("docker", "ps", "--no-trunc", "--filter", "label=io.gantry.node="+n.machine.name, "--format", format).CombinedOutput()
	if err != nil {
		t.Fatalf("docker ps: %v\n%s", err, out)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(out)) {
		id, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasSuffix(what, " POD") {
			continue
		}
		if all[what] != "" {
			t.Errorf("two containers run for %s", what)
		}
		all[what] = id
	}
	return all
}

// sameContainers checks that what ran still runs, in the same containers.
func sameContainers(t *testing.T, n *plane, before map[string]string) {
	t.Helper()
	now := containersOf(t, n)
	for what, id := range before {
		if now[what] != id {
			t.Errorf("%s ran in container %.12s, now in %.12s", what, id, now[what])
		}
	}
}

// answers sends an HTTP request to an address from the machine, and returns the body.
func (m *machine) answers(addr string) (text string, err error) {
	m.in(func() {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", addr, 2*time.Second); err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		var all []byte
		all, err = io.ReadAll(conn)
		text = string(all)
	})
	return text, err
}

// running waits until as many pods of an app are ready and in a container each.
func running(t *testing.T, p, n *plane, app string, want int) (containers map[string]string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d running pods of %s", want, app), 2*waitTimeout, func() (bool, string) {
		ready := 0
		l := p.list(pods + "?labelSelector=app%3D" + app)
		for _, o := range l.Items {
			for _, c := range o.Status.Conditions {
				if c.Type == "Ready" && c.Status == "True" && o.Metadata.DeletionTimestamp == nil {
					ready++
				}
			}
		}
		containers = containersOf(t, n)
		return ready == want && len(l.Items) == want && len(containers) == want, fmt.Sprintf("%d pods, %d ready, %d containers", len(l.Items), ready, len(containers))
	})
	return containers
}

// Cases 5, 7, 18, 19, 22, 23 on a node with real containers and real addresses.
func TestNodeOutlivesFaults(t *testing.T) {
	const replicas = 12
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	image := buildImage(t)
	n := startNodeAgents(t, p, e)
	p.ok("POST", deployments, strings.Replace(deployment("web", replicas), `"image":"i"`, fmt.Sprintf(`"image":%q,"imagePullPolicy":"Never","args":["serve","8080"]`, image), 1))
	p.ok("POST", "/api/v1/namespaces/default/services", `{"kind":"Service","apiVersion":"v1","metadata":{"name":"web"},"spec":{"clusterIP":"10.96.7.7","selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]}}`)
	containers := running(t, p, n, "web", replicas)
	eventually(t, "the Service's address answers", waitTimeout, func() (bool, string) {
		text, err := n.answers("10.96.7.7:80")
		return strings.Contains(text, "web-"), fmt.Sprint(text, err)
	})
	all := func(ok bool) func() (bool, string) {
		return func() (bool, string) {
			now := containersOf(t, n)
			return (len(now) == len(containers)) == ok, fmt.Sprintf("%d containers of %d", len(now), len(containers))
		}
	}

	t.Run("cut off from etcd and the gateway", func(t *testing.T) {
		n.cut(e.members[0].machine, p.machine)
		for began := time.Now(); time.Since(began) < seconds(20); {
			if text, err := n.answers("10.96.7.7:80"); err != nil || !strings.Contains(text, "web-") {
				t.Fatalf("the Service's address of a node that is cut off, after %s: %q, %v", time.Since(began).Round(time.Second), text, err)
			}
			<-time.After(seconds(0.5)) // pace
		}
		sameContainers(t, n, containers)
		n.heal()
		back := eventually(t, "the node reports again", seconds(60), func() (bool, string) {
			at := e.get("/registry/leases/kube-node-lease/" + n.machine.name)
			return at.Header.Revision-at.Kvs[0].ModRevision < 3, fmt.Sprint(at.Kvs[0].ModRevision, " of ", at.Header.Revision)
		})
		t.Logf("%d containers and the Service's address were untouched for 20 s without a control plane; the node reported %s later", len(containers), back.Round(time.Millisecond))
		sameContainers(t, n, containers)
	})

	t.Run("deletions missed over a compaction", func(t *testing.T) {
		gone := names(p.list(pods + "?labelSelector=app%3Dweb&limit=1"))
		n.signal(syscall.SIGSTOP)
		p.ok("PATCH", deployments+"/web", fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas-1), "Content-Type", "application/merge-patch+json")
		p.ok("DELETE", pods+"/"+gone+"?gracePeriodSeconds=0", "")
		e.flood(string(e.get("/gantry/bynode/"+n.machine.name+"/pods/", withPrefix()...).Kvs[5].Key))
		e.compact()
		e.members[0].restart(syscall.SIGKILL, nil) // what was on its way to the node is lost; a stopped client would keep etcd from ending
		e.await()
		n.signal(syscall.SIGCONT)
		took := eventually(t, "the deleted pod's container is gone", waitTimeout, func() (bool, string) {
			for what := range containersOf(t, n) {
				if strings.HasPrefix(what, gone+" ") {
					return false, what
				}
			}
			return true, ""
		})
		t.Logf("the container of a pod that was deleted while the kubelet was stopped, and compacted, ended %s after it went on", took.Round(time.Millisecond))
		containers = running(t, p, n, "web", replicas-1)
	})

	t.Run("a field that cannot change was changed", func(t *testing.T) {
		kv := e.get("/registry/pods/default/web", withPrefix()...).Kvs[0]
		e.put(string(kv.Key), strings.Replace(string(kv.Value), `"args":["serve","8080"]`, `"args":["serve","9090"],"command":["/bin/false"]`, 1))
		copied := "/gantry/bynode/" + n.machine.name + strings.TrimPrefix(string(kv.Key), "/registry")
		eventually(t, "the node has it", seconds(20), func() (bool, string) { v := e.value(copied); return strings.Contains(v, "9090"), v })
		<-time.After(seconds(5)) // time for wrong decisions
		sameContainers(t, n, containers)
		e.put(string(kv.Key), string(kv.Value))
	})

	t.Run("hijacks past the API", func(t *testing.T) {
		slice := func(name, ip string) {
			e.put("/registry/endpointslices/default/"+name, fmt.Sprintf(`{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":%[1]q,"namespace":"default","uid":%[3]q,"labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","endpoints":[{"addresses":[%[2]q]}],"ports":[{"port":8080}]}`, name, ip, uidOf(name)))
		}
		service := func(name, ip, more string) {
			e.put("/registry/services/specs/default/"+name, fmt.Sprintf(`{"kind":"Service","apiVersion":"v1","metadata":{"name":%[1]q,"namespace":"default","uid":%[4]q,"creationTimestamp":"2090-01-01T00:00:00Z"},"spec":{"type":"ClusterIP","clusterIP":%[2]q,"clusterIPs":[%[2]q]%[3]s,"ports":[{"port":80,"protocol":"TCP","targetPort":6666}]}}`, name, ip, more, uidOf(name)))
		}
		bridge := parse[struct{ Spec struct{ PodCIDR string } }](t, p.ok("GET", "/api/v1/nodes/"+n.machine.name, "").body).Spec.PodCIDR
		bridge = strings.TrimSuffix(bridge, "0/24") + "1"
		hostile := []string{"127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", bridge}
		for i, ip := range hostile {
			slice(fmt.Sprintf("evil%d", i), ip)
		}
		service("thief", "10.96.7.7", "")                                                 // web's address, and younger
		service("node", n.addr, "")                                                       // the node's address
		service("local", "127.0.0.1", "")                                                 // loopback
		service("outside", "10.96.7.8", `,"externalIPs":["198.51.100.7","`+observer+`"]`) // outside the cluster
		slice("last", "10.244.99.99")                                                     // a good one: seen after all others
		var table string
		eventually(t, "the good endpoint is programmed", seconds(20), func() (bool, string) {
			n.in(func() {
				out, err := exec.Command("nft", "list", "table", "ip", "gantry").CombinedOutput()
				must(t, err)
				table = string(out)
			})
			return strings.Contains(table, "10.244.99.99"), table
		})
		for _, ip := range append(hostile, "198.51.100.7", observer) {
			if strings.Contains(table, " "+ip+" .") { // as in "10.96.7.7 . tcp . 80 . 0x00000001 : 10.244.0.5 . 8080"
				t.Errorf("the proxy sends to or takes %s:\n%s", ip, table)
			}
		}
		if strings.Contains(table, n.addr+" . tcp . 80 ") {
			t.Errorf("the proxy takes a port of the node itself:\n%s", table)
		}
		if strings.Contains(table, ". 6666") {
			t.Errorf("a younger Service replaced another of the same address:\n%s", table)
		}
		e.del("/registry/endpointslices/default/evil", clientv3.WithPrefix())
		e.del("/registry/endpointslices/default/last")
		for _, name := range []string{"thief", "node", "local", "outside"} {
			p.ok("DELETE", "/api/v1/namespaces/default/services/"+name, "")
		}
		eventually(t, "the Service's address answers", seconds(20), func() (bool, string) {
			text, err := n.answers("10.96.7.7:80")
			return strings.Contains(text, "web-"), fmt.Sprint(text, err)
		})
	})

	t.Run("every pod deleted at once", func(t *testing.T) {
		lost := e.get("/registry/pods/default/web", withPrefix()...).Kvs
		e.del("/registry/pods/", clientv3.WithPrefix())
		<-time.After(seconds(6))
		sameContainers(t, n, containers)
		if made := e.count("/registry/pods/default/web"); made > 0 {
			t.Errorf("%d pods were made beside those whose containers run", made)
		}
		t.Logf("%d pods were deleted past the API; their %d containers run on", len(lost), len(containers))
		e.del("/gantry/bynode/"+n.machine.name+"/pods/default/", clientv3.WithPrefix()) // confirms the deletion
		took := eventually(t, "only the new pods' containers run", waitTimeout, all(true))
		containers = running(t, p, n, "web", replicas-1)
		t.Logf("once the copies were deleted too, the containers of the old pods ended within %s", took.Round(time.Millisecond))
	})
}
