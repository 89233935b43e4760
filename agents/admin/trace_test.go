package admin

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/explain"
	"gantry/agents/admin/trace"
	"gantry/registry"
	"gantry/schema/core"
)

// noNode is a machine that is not a node, of which nothing else is asked.
type noNode struct{ trace.Machine }

func (noNode) NodeName() string        { return "laptop" }
func (noNode) Addresses() []netip.Addr { return nil }
func (noNode) Searches() []string      { return nil }

func TestTrace(t *testing.T) {
	r := newFixture(t)
	r.must(r.reg.Create(r.ctx, core.Service, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, Selector: map[string]string{"app": "web"}},
	}, registry.WriteOptions{}))
	out, err := r.run("trace", "web", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var report explain.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	const verdict = "web, as a pod of namespace default asks for it, leads to no endpoint: port 80/TCP stops at the endpoints: none is ready"
	if l := report.Lines[0]; l.Wanted || l.Text != verdict {
		t.Errorf("the verdict is %+v, want %q", l, verdict)
	}
	if out, err := r.run("trace", "web"); err != nil || !strings.Contains(out, "[/registry/services/specs/default/web @") {
		t.Errorf("%v:\n%s\nwant the Service's key", err, out)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"trace"}, "usage: gantry trace"},
		{[]string{"trace", "a", "b"}, "usage: gantry trace"},
		{[]string{"trace", "web:80"}, "neither a name nor ADDRESS:PORT"},
		{[]string{"trace", "web", "-o", "yaml"}, "none of text, json"},
		{[]string{"trace", "web", "--cluster-dns", "x"}, "--cluster-dns"},
	} {
		if _, err := r.run(tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.args, err, tt.want)
		}
	}
}
