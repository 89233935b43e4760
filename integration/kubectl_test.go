package integration

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestKubectl runs the commands of an unmodified kubectl.
func TestKubectl(t *testing.T) {
	c := startCluster(t)
	c.kubectlIn(web("web", 2), "apply", "-f", "-")
	c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")

	t.Run("get", func(t *testing.T) {
		c := c.in(t)
		wants(t, c.kubectl("get", "pods"), "READY", "STATUS", "RESTARTS", "AGE", "1/1", "Running")
		wants(t, c.kubectl("get", "pods", "-o", "wide"), "IP", "NODE", c.node, "10.244.")
		wants(t, c.kubectl("get", "all", "-A"), "pod/web-", "service/kubernetes", "deployment.apps/web", "replicaset.apps/web-")
		wants(t, c.kubectl("get", "nodes", "-o", "wide"), "Ready", "docker://", nodeIP)
		wants(t, c.kubectl("get", "svc", "web", "-o", "yaml"), "clusterIP: 10.96.", "kind: Service")
		wants(t, c.kubectl("get", "pods", "-l", "app=web", "-o", "name"), "pod/web-")
		wants(t, c.kubectl("get", "pods", "--field-selector", "spec.nodeName="+c.node, "-o", "name"), "pod/web-")
		wants(t, c.kubectl("get", "pods", "--field-selector", "spec.nodeName=other"), "No resources found in default namespace.")
		wants(t, c.kubectlFails("get", "pod", "absent"), `Error from server (NotFound): pods "absent" not found`)
		wants(t, c.kubectlFails("get", "gizmos"), `the server doesn't have a resource type "gizmos"`)
	})
	t.Run("describe", func(t *testing.T) {
		c := c.in(t)
		pods := c.waitForPods("app=web", 2)
		wants(t, c.kubectl("describe", "pod", pods[0]), "Successfully assigned default/"+pods[0], "Created container", "Started container", "QoS Class:", "ContainersReady")
		wants(t, c.kubectl("describe", "deployment", "web"), "ScalingReplicaSet", "NewReplicaSetAvailable", "2 desired | 2 updated | 2 total | 2 available")
		wants(t, c.kubectl("describe", "node", c.node), "Allocatable:", "Non-terminated Pods:", "KubeletReady")
		wants(t, c.kubectl("describe", "service", "web"), "Endpoints:", ":8080")
	})
	t.Run("change", func(t *testing.T) {
		c := c.in(t)
		c.kubectl("label", "deployment", "web", "tier=front")
		c.kubectl("annotate", "deployment", "web", "note=hello")
		wants(t, c.kubectl("get", "deploy", "-l", "tier=front", "-o", "jsonpath={.items[*].metadata.annotations.note}"), "hello")
		c.kubectl("patch", "deployment", "web", "-p", `{"spec":{"replicas":3}}`)
		c.kubectl("patch", "deployment", "web", "--type=json", "-p", `[{"op":"replace","path":"/spec/replicas","value":1}]`)
		c.kubectl("patch", "deployment", "web", "--type=merge", "-p", `{"spec":{"minReadySeconds":1}}`)
		c.kubectl("scale", "deployment", "web", "--replicas=2")
		c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
		wants(t, c.kubectlIn(web("web", 2), "apply", "-f", "-"), "service/web unchanged")
		out, err := c.try("", "env", "EDITOR=sed -i s/hello/edited/", "kubectl", "edit", "deployment", "web")
		if err != nil {
			t.Error(err)
		}
		wants(t, out, "deployment.apps/web edited")
		c.kubectl("create", "configmap", "settings", "--from-literal=a=1")
		yaml := c.kubectl("get", "configmap", "settings", "-o", "yaml")
		c.kubectlIn(strings.Replace(yaml, `a: "1"`, `a: "2"`, 1), "replace", "-f", "-")
		wants(t, c.kubectl("get", "cm", "settings", "-o", "jsonpath={.data.a}"), "2")
		c.kubectl("create", "secret", "generic", "pass", "--from-literal=word=open")
		c.kubectl("delete", "configmap/settings", "secret/pass")
	})
	t.Run("rollout", func(t *testing.T) {
		c := c.in(t)
		c.kubectl("set", "env", "deployment/web", "VERSION=2")
		c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
		wants(t, c.kubectl("rollout", "history", "deployment/web"), "1 ", "2 ")
		c.kubectl("rollout", "undo", "deployment/web")
		c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
		if env := c.kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].env}"); strings.Contains(env, "VERSION") {
			t.Errorf("after undo env is %s", env)
		}
		c.kubectl("rollout", "restart", "deployment/web")
		c.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
	})
	t.Run("logs and exec", func(t *testing.T) {
		c := c.in(t)
		p := c.waitForPods("app=web", 2)[0]
		wants(t, c.kubectl("logs", p), "serving on 8080")
		wants(t, c.kubectl("logs", "deployment/web", "-c", "web", "--tail=1"), "serving on 8080")
		wants(t, c.kubectl("exec", p, "--", "hostname"), p)
		out, err := c.try("typed", "kubectl", "exec", "-i", p, "--", "cat")
		if err != nil || out != "typed" {
			t.Errorf("exec -i cat: %q, %v", out, err)
		}
		_, err = c.try("", "kubectl", "exec", p, "--", "sh", "-c", "exit 7")
		if err == nil || !strings.Contains(err.Error(), "exit code 7") {
			t.Errorf("exec exit 7: %v", err)
		}
		out, err = c.try("", "script", "-qec", "kubectl exec -it "+p+" -- sh -c 'test -t 0 && echo tty'", "/dev/null")
		if err != nil || !strings.Contains(out, "tty") {
			t.Errorf("exec -it: %q, %v", out, err)
		}
	})
	t.Run("run, expose, wait", func(t *testing.T) {
		c := c.in(t)
		c.kubectl("run", "one", "--image", image, "--restart=Never", "--port=8080", "--command", "--", "testpod", "serve")
		c.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
		c.kubectl("expose", "pod", "one", "--port=80", "--target-port=8080")
		ip := c.kubectl("get", "svc", "one", "-o", "jsonpath={.spec.clusterIP}")
		c.eventually("an answer of the exposed pod", func() (bool, string) {
			name, err := get("http://" + ip)
			return name == "one", name + " " + errText(err)
		})
		c.kubectl("delete", "pod,service", "one")
		c.kubectlIn(pod("short", "sh", "-c", "echo first; exit 3"), "apply", "-f", "-")
		c.kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/short", "--timeout=60s")
		wants(t, c.kubectl("get", "pod", "short"), "Error", "0/1")
		wants(t, c.kubectl("logs", "short"), "first")
	})
	t.Run("previous logs", func(t *testing.T) {
		c := c.in(t)
		again := strings.Replace(pod("again", "sh", "-c", "echo run; sleep 1; exit 1"), "restartPolicy: Never", "restartPolicy: Always", 1)
		c.kubectlIn(again, "apply", "-f", "-")
		c.eventually("a restart", func() (bool, string) {
			n := c.kubectl("get", "pod", "again", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
			return n != "" && n != "0", n
		})
		wants(t, c.kubectl("logs", "again", "--previous"), "run")
		c.eventually("CrashLoopBackOff", func() (bool, string) {
			s := c.kubectl("get", "pod", "again")
			return strings.Contains(s, "CrashLoopBackOff"), s
		})
		c.kubectl("delete", "pod", "again")
	})
	t.Run("about", func(t *testing.T) {
		c := c.in(t)
		wants(t, c.kubectl("version"), "Server Version: v1.36")
		wants(t, c.kubectl("api-resources"), "deployments", "deploy", "apps/v1", "Deployment", "endpointslices")
		wants(t, c.kubectl("cluster-info"), "is running at", "https://127.0.0.1:6443")
		wants(t, c.kubectl("get", "events"), "Scheduled", "SuccessfulCreate")
		wants(t, c.kubectl("explain", "pod.spec.containers.image"), "FIELD: image <string>")
		wants(t, c.kubectl("auth", "whoami"), "kubernetes-admin", "system:masters")
	})
	t.Run("delete", func(t *testing.T) {
		c := c.in(t)
		c.kubectl("create", "namespace", "gone")
		c.kubectl("-n", "gone", "create", "configmap", "x")
		c.kubectl("delete", "namespace", "gone", "--timeout=60s")
		c.kubectl("delete", "deployment", "web", "--timeout=60s")
		c.kubectl("wait", "--for=delete", "pods", "-l", "app=web", "--timeout=60s")
		wants(t, c.kubectlFails("-n", "gone", "create", "configmap", "y"), `namespaces "gone" not found`)
	})
}

// TestConcurrencyOverHTTP checks resourceVersion, ETag and If-Match, and the errors of writes.
func TestConcurrencyOverHTTP(t *testing.T) {
	c := startCluster(t, "--agents", "gateway,controllers")
	c.eventually("the namespace default", func() (bool, string) {
		status, _, body := c.curl("GET", "/api/v1/namespaces/default", "")
		return status == 200, body
	})
	const path = "/registry/configmaps/default/c"
	status, _, body := c.curl("POST", "/api/v1/namespaces/default/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"n":"1"}}`)
	if status != 201 {
		t.Fatalf("POST: %d %s", status, body)
	}
	_, header, body := c.curl("GET", path, "")
	var cm struct {
		Metadata struct{ ResourceVersion string }
	}
	if err := json.Unmarshal([]byte(body), &cm); err != nil {
		t.Fatal(err)
	}
	if got, want := header.Get("ETag"), `"`+cm.Metadata.ResourceVersion+`"`; got != want {
		t.Errorf("ETag %s, want %s", got, want)
	}
	fresh := strings.Replace(body, `"n":"1"`, `"n":"2"`, 1)
	if status, _, out := c.curl("PUT", path, fresh); status != 200 {
		t.Fatalf("PUT: %d %s", status, out)
	}
	cases := []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     []string
	}{
		{"a stale PUT", "PUT", path, fresh, nil, 409, []string{`"reason":"Conflict"`, "the object has been modified; please apply your changes to the latest version and try again"}},
		{"a stale If-Match", "PUT", path, strings.Replace(fresh, cm.Metadata.ResourceVersion, "", 1), []string{"If-Match", header.Get("ETag")}, 409, []string{"Conflict"}},
		{"an invalid object", "POST", "/api/v1/namespaces/default/pods", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"UP"},"spec":{"containers":[{"name":"","image":"i"}],"restartPolicy":"x"}}`, nil, 422,
			[]string{`"field":"metadata.name"`, `"field":"spec.containers[0].name"`, `"field":"spec.restartPolicy"`}},
		{"malformed JSON", "POST", "/api/v1/namespaces/default/pods", `{"apiVersion"`, nil, 400, []string{`"reason":"BadRequest"`}},
		{"an unknown field, strict", "POST", "/api/v1/namespaces/default/configmaps?fieldValidation=Strict", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"s"},"dat":{}}`, nil, 400, []string{`unknown field \"dat\"`}},
		{"an absent namespace", "POST", "/api/v1/namespaces/absent/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"s"}}`, nil, 404, []string{`namespaces \"absent\" not found`}},
		{"a list", "GET", "/registry/configmaps/default/", "", nil, 200, []string{`"kind":"ConfigMapList"`, `"name":"c"`}},
	}
	for _, tc := range cases {
		status, _, out := c.curl(tc.method, tc.path, tc.body, tc.header...)
		if status != tc.status {
			t.Errorf("%s: status %d, want %d: %s", tc.name, status, tc.status, out)
		}
		wants(t, out, tc.want...)
	}
	_, header, _ = c.curl("POST", "/api/v1/namespaces/default/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"w"},"dat":{}}`)
	if w := header.Get("Warning"); !strings.Contains(w, `unknown field \"dat\"`) {
		t.Errorf("an unknown field gave the warning %q", w)
	}
}

func wants(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not in:\n%s", w, got)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
