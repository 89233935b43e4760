//go:build faults

package faults

import (
	"context"
	"crypto/md5"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// hostile is a value written with etcdctl, and what a client must see of it.
type hostile struct {
	name  string
	key   string // below /registry
	value string
	// bad is the text in its quarantine record; "": it is served, and validated by the agents that use it.
	bad string
}

// badUID is the uid of the values here.
const badUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

// uidOf is a uid by name.
func uidOf(name string) string {
	x := md5.Sum([]byte(name))
	return fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:])
}

const (
	podA  = `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"bad","namespace":"default","uid":"` + badUID + `"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}}`
	deplA = `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"bad","namespace":"default","uid":"` + badUID + `"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"bad"}},"template":{"metadata":{"labels":{"app":"bad"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
)

// hostileValues are cases 16, 17, 20, 21 and 24.
func hostileValues() []hostile {
	pod, depl := "/registry/pods/default/bad", "/registry/deployments/default/bad"
	meta := func(value, with string) string {
		return strings.Replace(value, `"metadata":{`, `"metadata":{`+with+`,`, 1)
	}
	labels := make([]string, 100_000)
	for n := range labels {
		labels[n] = fmt.Sprintf(`"l%d":"v"`, n)
	}
	return []hostile{
		{"not JSON", pod, "rubbish{", "not a JSON object"},
		{"truncated", pod, podA[:len(podA)/2], "unexpected end"},
		{"null", pod, "null", "not a JSON object"},
		{"array", pod, "[]", "not a JSON object"},
		{"number", pod, "7", "not a JSON object"},
		{"byte order mark", pod, "\ufeff" + podA, "not a JSON object"},
		{"not UTF-8", pod, strings.Replace(podA, `"i"`, "\"\xff\xfe\"", 1), "UTF-8"},
		{"protobuf", pod, "k8s\x00\x0a\x09\x0a\x02v1", "protobuf"},
		{"deep", pod, strings.Repeat(`{"a":`, 50_000), ""},
		{"brackets", pod, strings.Repeat("[", 1<<20), "not a JSON object"},
		{"other name", pod, strings.Replace(podA, `"name":"bad"`, `"name":"else"`, 1), "metadata.name"},
		{"other namespace", pod, strings.Replace(podA, `"default"`, `"kube-system"`, 1), "metadata.namespace"},
		{"other kind", pod, deplA, "is not a v1 Pod"},
		{"duplicate keys", pod, meta(podA, `"uid":"x"`), "duplicate"},
		{"no uid", pod, strings.Replace(podA, `,"uid":"`+badUID+`"`, "", 1), "uid is missing"},
		{"a path as uid", pod, strings.Replace(podA, badUID, "../../../tmp/x", 1), "metadata.uid is no UUID"},
		{"a time after 9999", pod, meta(podA, `"creationTimestamp":"9999-12-31T23:59:59-01:00"`), "creationTimestamp"},
		{"a time before the year 0", pod, meta(podA, `"creationTimestamp":"0000-01-01T00:00:00+01:00"`), "creationTimestamp"},
		{"a time of year 10000", pod, meta(podA, `"creationTimestamp":"10000-01-01T00:59:59Z"`), "parsing time"},
		{"an exponent of ten digits", pod, strings.Replace(podA, `"image":"i"`, `"image":"i","resources":{"limits":{"cpu":"1e-2147483648"}}`, 1), "resources.limits[cpu]"},
		{"1e308 cpus", pod, strings.Replace(podA, `"image":"i"`, `"image":"i","resources":{"limits":{"cpu":"1e308"}}`, 1), "resources.limits[cpu]"},
		{"replicas as text", depl, strings.Replace(deplA, `"replicas":1`, `"replicas":"3"`, 1), "cannot unmarshal"},
		{"negative replicas", depl, strings.Replace(deplA, `"replicas":1`, `"replicas":-3`, 1), "replicas"},
		{"selector of others", depl, strings.Replace(deplA, `"matchLabels":{"app":"bad"}`, `"matchLabels":{"app":"web"}`, 1), ""},
		{"1.4 MiB", "/registry/configmaps/default/bad", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"bad","namespace":"default","uid":"` + badUID + `"},"data":{"x":"` + strings.Repeat("x", 1400<<10) + `"}}`, ""},
		{"100,000 labels", "/registry/configmaps/default/bad", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"bad","namespace":"default","uid":"` + badUID + `","labels":{` + strings.Join(labels, ",") + `}}}`, ""},
		{"annotation key of 64 KiB", "/registry/configmaps/default/bad", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"bad","namespace":"default","uid":"` + badUID + `","annotations":{"` + strings.Repeat("k", 64<<10) + `":"v"}}}`, ""},
		{"resourceVersion and generation of its own", "/registry/configmaps/default/bad", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"bad","namespace":"default","uid":"` + badUID + `","resourceVersion":"99999999","generation":77}}`, ""},
	}
}

// Cases 16, 17, 20, 24: every value is written straight to etcd beside good ones.
func TestHostileValues(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	startNode(t, p, e, "n1")
	deploy(t, p, "web", 3)
	p.ok("POST", maps, configMap("good", "1"))
	for _, h := range hostileValues() {
		t.Run(h.name, func(t *testing.T) {
			rest := strings.TrimPrefix(h.key, "/registry/")
			plural := strings.Split(rest, "/")[0]
			path := map[string]string{"pods": pods, "deployments": deployments, "configmaps": maps}[plural]
			good := map[string]string{"pods": podA, "deployments": deplA, "configmaps": `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"bad","namespace":"default","uid":"` + badUID + `"}}`}[plural]
			defer func() { e.del(h.key) }()
			first := e.put(h.key, good)
			set := ""
			if plural == "deployments" {
				set = e.replicaSet("bad", true)
			}
			ctx, cancel := context.WithTimeout(t.Context(), seconds(20))
			defer cancel()
			watch, err := p.watch(ctx, fmt.Sprintf("%s?watch=1&resourceVersion=%d", path, first))
			must(t, err)
			rev := e.put(h.key, h.value)
			began := time.Now()
			list := parse[objects](t, p.ok("GET", path, "").body)
			if took := time.Since(began); took > seconds(2) {
				t.Errorf("a list took %s", took)
			}
			record := func() string { return e.value("/gantry/quarantine" + h.key) }
			a := p.do("GET", path+"/bad", "")
			if a.code == 200 {
				if h.bad != "" {
					t.Errorf("it is served: %s", a)
				}
				if got := number(rvOf(a.body)); got < rev || got > e.revision() {
					t.Errorf("its resourceVersion is %d, want %d or what came after", got, rev)
				}
			} else {
				if a.code != 500 || !strings.Contains(a.body, h.bad) || !strings.Contains(a.body, h.key) {
					t.Errorf("GET of it: %s; want 500 with %q and the key", a, h.bad)
				}
				eventually(t, "its quarantine record", seconds(5), func() (bool, string) {
					r := record()
					return contains(r, h.bad, fmt.Sprintf(`"revision":%d`, rev), `"lastGoodRevision":`), r
				})
				if strings.Contains(names(list), "bad") {
					t.Errorf("a list has it: %s", names(list))
				}
				eventually(t, "the metric of bad values", seconds(5), func() (bool, string) {
					m := p.ok("GET", "/metrics", "").body
					return strings.Contains(m, "gantry_quarantined_values{resource=\""+map[string]string{"pods": "pods", "deployments": "deployments.apps"}[plural]+"\"} 1\n"), "another number"
				})
				eventually(t, "an event", seconds(10), func() (bool, string) {
					b := p.do("GET", "/api/v1/events?fieldSelector=involvedObject.name%3Dbad", "").body
					return strings.Contains(b, h.key), b
				})
			}
			// The watch goes on with the next change of a good value.
			marker := map[string]string{"pods": "/registry/pods/default/marker", "deployments": "/registry/deployments/default/marker", "configmaps": "/registry/configmaps/default/marker"}[plural]
			e.put(marker, strings.ReplaceAll(strings.ReplaceAll(good, `"name":"bad"`, `"name":"marker"`), `"replicas":1`, `"replicas":0`))
			defer e.del(marker)
			var seen []string
			for ev := range watch {
				o := asObject(string(ev.Object))
				seen = append(seen, ev.Type+" "+o.Metadata.Name)
				if o.Metadata.Name == "marker" {
					break
				}
			}
			want := "MODIFIED bad, ADDED marker"
			if a.code != 200 {
				want = "DELETED bad, ADDED marker" // as in a list without it
			}
			if got := strings.Join(seen, ", "); !strings.HasSuffix(got, want) {
				t.Errorf("a watcher saw %s, want %s", got, want)
			}
			// It can be undone, or deleted by name.
			if a.code != 200 {
				undo(t, e, h.key)
				if b := p.do("GET", path+"/bad", ""); b.code != 200 {
					t.Errorf("after undo: %s", b)
				}
				eventually(t, "no record after undo", seconds(5), func() (bool, string) { r := record(); return r == "", r })
				if plural == "deployments" && e.replicaSet("bad", true) != set {
					t.Errorf("what belongs to it was deleted while it could not be read")
				}
				e.put(h.key, h.value)
				eventually(t, "bad again", seconds(5), func() (bool, string) { b := p.do("GET", path+"/bad", ""); return b.code == 500, b.String() })
			}
			if b := p.do("DELETE", path+"/bad?gracePeriodSeconds=0", ""); b.code != 200 {
				t.Errorf("DELETE by name: %s", b)
			}
			if v := e.value(h.key); v != "" {
				t.Errorf("it is there after DELETE")
			}
			if plural == "deployments" {
				if a.code == 200 { // one that selects others' pods has released its own: they are not deleted
					e.del("/registry/replicasets/default/bad-", withPrefix()...)
				}
				e.replicaSet("bad", false)
			}
		})
	}
	if got := e.count("/registry/pods/default/web"); got != 3 {
		t.Errorf("%d pods of web, want 3 untouched", got)
	}
	p.ok("PATCH", deployments+"/web", `{"spec":{"replicas":4}}`, "Content-Type", "application/merge-patch+json")
	awaitPods(t, p, "web", 4)
	if a := p.do("GET", "/readyz", ""); a.code != 200 {
		t.Errorf("/readyz: %s", a)
	}
}

// replicaSet waits until a Deployment has a replica set, or none, and returns when it was made and under which name.
func (e *etcd) replicaSet(deployment string, there bool) (made string) {
	e.t.Helper()
	eventually(e.t, fmt.Sprintf("a replica set of %s: %t", deployment, there), waitTimeout, func() (bool, string) {
		made = ""
		for _, kv := range e.get("/registry/replicasets/default/"+deployment+"-", withPrefix()...).Kvs {
			made += fmt.Sprintf("%s at %d ", kv.Key, kv.CreateRevision)
		}
		return (made != "") == there, made
	})
	return made
}

// undo runs `gantry undo`.
func undo(t *testing.T, e *etcd, key string) {
	t.Helper()
	if out, err := exec.Command(gantry, "undo", "--etcd-servers", strings.Join(e.urls(), ","), key).CombinedOutput(); err != nil {
		t.Errorf("gantry undo %s: %v\n%s", key, err, out)
	}
}

// Case 20: a cycle of owners, and an owner of another namespace.
func TestOwnerCycle(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	owned := func(name, owner string) string {
		return fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"namespace":"default","uid":%q,"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":%q,"uid":%q,"blockOwnerDeletion":true}]}}`, name, uidOf(name), owner, uidOf(owner))
	}
	for n := range 10 { // the garbage collector takes an owner that does not exist yet for a deleted one
		e.put(fmt.Sprintf("/registry/configmaps/default/c%d", n), fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c%d","namespace":"default","uid":%q}}`, n, uidOf(fmt.Sprint("c", n))))
	}
	for n := range 10 {
		e.put(fmt.Sprintf("/registry/configmaps/default/c%d", n), owned(fmt.Sprintf("c%d", n), fmt.Sprintf("c%d", (n+1)%10)))
	}
	e.put("/registry/configmaps/default/self", owned("self", "self"))
	settled(t, e)
	if n := e.count("/registry/configmaps/default/c"); n != 10 {
		t.Errorf("%d of a cycle of 10 are left", n)
	}
	if a := p.do("DELETE", maps+"/c0?propagationPolicy=Foreground", ""); a.code/100 != 2 {
		t.Errorf("deleting one in the foreground: %s", a)
	}
	took := eventually(t, "the cycle is deleted", seconds(30), func() (bool, string) {
		n := e.count("/registry/configmaps/default/c")
		return n == 0, fmt.Sprint(n)
	})
	t.Logf("the cycle was deleted after %s", took.Round(time.Millisecond))
	before := e.revision()
	<-time.After(seconds(3))
	if keys := e.written(before, e.revision()); len(keys) > 0 {
		t.Errorf("still written: %v", keys)
	}
}

// Cases 18, 19, 21: all pods deleted at once, running pods changed, pods with an unknown finalizer.
func TestChangesPastTheAPI(t *testing.T) {
	e := startEtcd(t, 1)
	p := startPlane(t, "p", e.urls())
	startNode(t, p, e, "n1")
	deploy(t, p, "web", 30)
	settled(t, e)
	t.Run("all pods deleted at once", func(t *testing.T) {
		copies := e.count("/gantry/bynode/n1/pods/")
		e.del("/registry/pods/", withPrefix()...)
		<-time.After(seconds(6))
		if left := e.count("/gantry/bynode/n1/pods/"); left < copies {
			t.Errorf("%d of %d pods are left to their node: their containers would be stopped", left, copies)
		}
		if made := e.count("/registry/pods/default/web"); made > 0 {
			t.Errorf("%d pods were made beside those that the node keeps", made)
		}
		t.Logf("the node keeps %d pods of %d", e.count("/gantry/bynode/n1/pods/"), copies)
		for _, kv := range e.get("/gantry/bynode/n1/pods/", withPrefix()...).Kvs {
			if e.value("/registry/pods/"+strings.TrimPrefix(string(kv.Key), "/gantry/bynode/n1/pods/")) == "" {
				e.del(string(kv.Key)) // confirms the deletion
			}
		}
		awaitPods(t, p, "web", 30)
	})
	t.Run("unknown finalizer, deleted in past and future", func(t *testing.T) {
		for name, when := range map[string]string{"past": "2001-01-01T00:00:00Z", "future": "2101-01-01T00:00:00Z"} {
			key := "/registry/pods/default/" + name
			e.put(key, strings.NewReplacer(`"name":"bad"`, `"name":"`+name+`"`, badUID+`"`, uidOf(name)+`","finalizers":["example.com/unknown"],"deletionGracePeriodSeconds":1,"deletionTimestamp":"`+when+`"`).Replace(podA))
		}
		<-time.After(seconds(5))
		for _, name := range []string{"past", "future"} {
			if v := e.value("/registry/pods/default/" + name); !strings.Contains(v, "example.com/unknown") {
				t.Errorf("%s: %q, want it as it was", name, v)
			}
			p.ok("PATCH", pods+"/"+name, `{"metadata":{"finalizers":null}}`, "Content-Type", "application/merge-patch+json")
		}
	})
	t.Run("node changed with etcdctl", func(t *testing.T) {
		kv := e.get("/registry/pods/default/web", withPrefix()...).Kvs[0]
		rest := strings.TrimPrefix(string(kv.Key), "/registry/pods/")
		e.put(string(kv.Key), strings.Replace(string(kv.Value), `"nodeName":"n1"`, `"nodeName":"n2"`, 1))
		eventually(t, "its copy moves", seconds(10), func() (bool, string) {
			one, two := e.value("/gantry/bynode/n1/pods/"+rest), e.value("/gantry/bynode/n2/pods/"+rest)
			return one == "" && two != "", fmt.Sprintf("n1 has %d bytes, n2 %d", len(one), len(two))
		})
	})
}

// Cases 22, 23 at the API; what the proxy makes of such values is in agents/proxy (TestCompileService).
func TestHijacksAreRefused(t *testing.T) {
	p := startPlane(t, "p", nil)
	eventually(t, "the namespace default", seconds(30), func() (bool, string) {
		a := p.do("GET", "/api/v1/namespaces/default", "")
		return a.code == 200, a.String()
	})
	slices := "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
	for _, ip := range []string{"127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"} {
		a := p.do("POST", slices, fmt.Sprintf(`{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"s"},"addressType":"IPv4","endpoints":[{"addresses":[%q]}]}`, ip))
		if a.code != 422 {
			t.Errorf("an EndpointSlice with %s: %s", ip, a)
		}
	}
	services := "/api/v1/namespaces/default/services"
	service := func(name, ip string) string {
		return fmt.Sprintf(`{"kind":"Service","apiVersion":"v1","metadata":{"name":%q},"spec":{"clusterIP":%q,"ports":[{"port":80}]}}`, name, ip)
	}
	p.ok("POST", services, service("one", "10.96.7.7"))
	for _, ip := range []string{"10.96.7.7", "10.96.0.1", "192.0.2.1", p.addr, "127.0.0.1"} {
		if a := p.do("POST", services, service("two", ip)); a.code != 422 {
			t.Errorf("a Service with %s: %s", ip, a)
		}
	}
}
