package history

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/schema/apps"
)

func makeOwner(image string) Owner {
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid-web", Annotations: map[string]string{"kubernetes.io/change-cause": "why"}},
		Spec: appsv1.StatefulSetSpec{Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image, Args: []string{"a<b"}}}}}},
	}
	apps.StatefulSet.Default(set)
	return Owner{Kind: apps.StatefulSet, Object: set, Template: &set.Spec.Template, HashLabel: "hash"}
}

// asKubectl is what kubectl rollout undo compares a revision's data with.
func asKubectl(t *testing.T, o Owner) string {
	t.Helper()
	text, err := json.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]any
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	template := raw["spec"].(map[string]any)["template"].(map[string]any)
	template["$patch"] = "replace"
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
	if err != nil {
		t.Fatal(err)
	}
	return string(patch)
}

func verbs(plan []controller.Action) (out []string) {
	for _, a := range plan {
		out = append(out, string(a.Do)+" "+a.Object.GetName())
	}
	return out
}

func TestCurrentRevision(t *testing.T) {
	one, two := makeOwner("web:1"), makeOwner("web:2")
	first, _, plan := Current(one, nil)
	if len(plan) != 1 || first.Revision != 1 || first.Labels["hash"] == "" || first.Labels["app"] != "web" || first.Annotations["kubernetes.io/change-cause"] != "why" || !metav1.IsControlledBy(first, one.Object) {
		t.Fatalf("first revision %+v, plan %v", first, plan)
	}
	if diff := cmp.Diff(asKubectl(t, one), string(first.Data.Raw)); diff != "" {
		t.Errorf("data (-kubectl's +got):\n%s", diff)
	}
	if got, _, plan := Current(one, []*appsv1.ControllerRevision{first}); got != first || len(plan) > 0 {
		t.Errorf("the same template is %v, plan %v", got.Name, verbs(plan))
	}
	second, _, _ := Current(two, []*appsv1.ControllerRevision{first})
	if second.Revision != 2 || second.Name == first.Name {
		t.Errorf("second revision %d %s", second.Revision, second.Name)
	}
	both := []*appsv1.ControllerRevision{first, second}
	back, _, plan := Current(one, both)
	if diff := cmp.Diff([]string{"update " + first.Name}, verbs(plan)); diff != "" || back.Revision != 3 || first.Revision != 1 {
		t.Errorf("the first template again is revision %d (first is %d), plan (-want +got):\n%s", back.Revision, first.Revision, diff)
	}
	two.Collisions = ptr.To(int32(1))
	if other, _, _ := Current(two, both[:1]); other.Name == second.Name {
		t.Error("a collision does not change the name")
	}
}

// Another version has written the revision in another form, without a default that came later: that is no change of the template.
func TestEqualInMeaning(t *testing.T) {
	o := makeOwner("web:1")
	was := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "was"}, Revision: 4}
	was.Data.Raw = []byte(`{"spec": {"template": {"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"web:1","args":["a<b"]}]}}}}`)
	unreadable := &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Revision: 3}
	unreadable.Data.Raw = []byte(`{"spec": 7}`)
	if got, _, plan := Current(o, []*appsv1.ControllerRevision{unreadable, was}); got != was || len(plan) > 0 {
		t.Errorf("the current revision is %s, plan %v", got.Name, verbs(plan))
	}
	for _, text := range []string{`{"spec": 7}`, `{}`, `[]`} {
		unreadable.Data.Raw = []byte(text)
		if _, err := Template(unreadable); err == nil {
			t.Errorf("%s has a template", text)
		}
	}
}

func TestTruncate(t *testing.T) {
	var old []*appsv1.ControllerRevision
	for _, name := range []string{"a", "b", "c", "d"} {
		old = append(old, &appsv1.ControllerRevision{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	live := func(r *appsv1.ControllerRevision) bool { return r.Name == "b" }
	for _, tt := range []struct {
		keep *int32
		want []string
	}{
		{nil, nil},
		{ptr.To(int32(4)), nil},
		{ptr.To(int32(2)), []string{"delete a", "delete c"}},
		{ptr.To(int32(0)), []string{"delete a", "delete c", "delete d"}},
		{ptr.To(int32(-1)), nil},
	} {
		if diff := cmp.Diff(tt.want, verbs(Truncate(old, live, tt.keep))); diff != "" {
			t.Errorf("keep %v (-want +got):\n%s", ptr.Deref(tt.keep, -2), diff)
		}
	}
}
