package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNode(t *testing.T) {
	n := newNode(t, 0)
	secret := filepath.Join(t.TempDir(), "secret")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(secret, []byte("secret"), 0o600))
	must(os.WriteFile(filepath.Join(n.logs, "syslog"), []byte("a line\n"), 0o600))
	must(os.Mkdir(filepath.Join(n.logs, "pods"), 0o755))
	must(os.WriteFile(filepath.Join(n.logs, "pods", "0.log"), []byte("of a pod\n"), 0o600))
	must(os.Symlink(secret, filepath.Join(n.logs, "out")))
	must(os.Symlink("syslog", filepath.Join(n.logs, "in")))
	for _, tt := range []struct {
		path string
		code int
		want string
	}{
		{"/logs/", 200, `<a href="syslog">syslog</a>`},
		{"/logs/syslog", 200, "a line\n"},
		{"/logs/pods/0.log", 200, "of a pod\n"},
		{"/logs/in", 200, "a line\n"},
		{"/logs/absent", 404, "404 page not found"},
		{"/logs/../../../../etc/passwd", 404, ""},
		{"/metrics", 200, "go_goroutines"},
		{"/configz", 200, `{"kubeletconfig":{"kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1","address":"","port":10250,"maxPods":110,`},
		{"/pods", 200, `"labels":{"a":"b"}`},
		{"/runningpods/", 200, `"containers":[{"name":"web","image":"web:1","resources":{}}]`},
	} {
		code, body := n.get(n.as("gantry-gateway"), tt.path)
		if code != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s, want %d with %s", tt.path, code, body, tt.code, tt.want)
		}
	}
	if code, body := n.get(n.as("gantry-gateway"), "/logs/out"); code < 400 || strings.Contains(body, "secret") {
		t.Errorf("a link out of the directory: %d %s", code, body)
	}
	if _, body := n.get(n.as("gantry-gateway"), "/runningpods/"); strings.Contains(body, "waits") || strings.Contains(body, "ended") {
		t.Errorf("the running pods: %s", body)
	}
	if code, _ := n.get(n.as("somebody"), "/logs/syslog"); code != 403 {
		t.Errorf("somebody's logs: %d", code)
	}
}
