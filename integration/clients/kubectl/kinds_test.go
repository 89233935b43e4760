package kubectl

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"gantry/integration/clients/session"
)

// examples has an object of every kind, without its type and name.
const examples = "../../oracle/testdata/examples"

// changesOnApply are kinds whose examples have a list that kubectl compares as a whole and the server adds to, or a value that is not stored: they are
// never unchanged.
var changesOnApply = []string{"Secret", "Node", "Pod", "StatefulSet", "IPAddress", "PodDisruptionBudget", "MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"}

// describedSince are the minor versions of kubectl that describe a kind by its stable version. Older ones ask for beta versions, which are not served.
var describedSince = map[string]int{"servicecidrs": 34, "ipaddresses": 34, "volumeattributesclasses": 36}

// minorVersion is kubectl's own.
func minorVersion(t *testing.T) int {
	t.Helper()
	out, err := exec.Command(program(), "version", "--client", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ ClientVersion struct{ Minor string } }
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	minor, err := strconv.Atoi(strings.TrimRight(v.ClientVersion.Minor, "+"))
	if err != nil {
		t.Fatal(err)
	}
	return minor
}

// TestEveryKind creates, reads, edits, applies and deletes an example of every kind that is served with all these verbs, and explains every kind.
func TestEveryKind(t *testing.T) {
	lists, err := plane.Clientset(t).Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	env := environment(t, plane)
	var tried int
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range l.APIResources {
			lives := slices.Contains(r.Verbs, "create") && slices.Contains(r.Verbs, "delete")
			if lives {
				tried++
			}
			t.Run(gv.WithResource(r.Name).GroupResource().String(), func(t *testing.T) {
				text := fmt.Sprintf("$ kubectl explain %s --recursive --api-version=%s\n  KIND: \n  FIELD\n", r.Name, l.GroupVersion)
				if lives {
					text += lifeOf(t, gv, r)
				}
				file := filepath.Join(t.TempDir(), "session.txt")
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				session.Run(t, file, env...)
			})
		}
	}
	if tried < 50 {
		t.Errorf("only %d kinds were created", tried)
	}
}

// lifeOf is a session of one object.
func lifeOf(t *testing.T, gv schema.GroupVersion, r metav1.APIResource) string {
	t.Helper()
	group := gv.Group
	if group == "" {
		group = "core"
	}
	text, err := os.ReadFile(filepath.Join(examples, group+"_"+strings.ToLower(r.Kind)+".yaml"))
	if err != nil {
		t.Fatalf("no example: %v", err)
	}
	var obj map[string]any
	if err := yaml.Unmarshal(text, &obj); err != nil {
		t.Fatal(err)
	}
	obj["apiVersion"], obj["kind"] = gv.String(), r.Kind
	meta, _ := obj["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		obj["metadata"] = meta
	}
	name, _ := meta["name"].(string)
	if name == "" {
		name = "example"
		meta["name"] = name
	}
	if text, err = yaml.Marshal(obj); err != nil {
		t.Fatal(err)
	}
	again := "unchanged"
	if slices.Contains(changesOnApply, r.Kind) {
		again = "configured"
	}
	what := r.Name + "." + gv.Version + "." + gv.Group + " " + name
	describe := "$ kubectl describe " + what
	if since := describedSince[r.Name]; minorVersion(t) < since {
		describe = "$ echo Name: " + name
	}
	var b strings.Builder
	b.WriteString("$ cat >o.yaml <<'E' && sed -i \"s/NAMESPACE/$NS/\" o.yaml && kubectl create -f o.yaml\n")
	for line := range strings.Lines(string(text)) {
		b.WriteString("> " + line)
	}
	fmt.Fprintf(&b, "> E\n  /%s created$/\n", name)
	for _, line := range []string{
		"! kubectl create -f o.yaml", "  AlreadyExists",
		"$ kubectl get " + what + " -o wide", "  NAME",
		"$ kubectl get " + what + " -o yaml", "  kind: " + r.Kind, "  uid:",
		describe, "  /^Name: +" + name + "$/",
		"$ kubectl apply -f o.yaml", "  configured",
		"$ kubectl apply -f o.yaml", "  " + again,
		"$ kubectl apply --server-side --force-conflicts -f o.yaml", "  serverside-applied",
		"$ kubectl label -f o.yaml l=one", "  labeled",
		"$ EDITOR='sed -i \"s/l: one/l: two/\"' kubectl edit " + what, "  edited",
		"$ kubectl get " + what + " -o jsonpath={.metadata.labels.l}", "  two",
		"$ kubectl patch " + what + " --type=merge -p '{\"metadata\":{\"annotations\":{\"a\":\"b\"}}}'", "  patched",
		"$ kubectl get " + what + " -o yaml >live.yaml && kubectl replace -f live.yaml", "  replaced",
		"$ kubectl diff -f live.yaml",
		"$ kubectl delete -f o.yaml --timeout=30s", "  deleted",
		"! kubectl get " + what, "  NotFound",
	} {
		b.WriteString(line + "\n")
	}
	return b.String()
}
