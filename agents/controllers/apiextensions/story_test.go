package apiextensions_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"gantry/agents/controllers/controllertest"
	"gantry/registry"
	"gantry/registry/leaktest"
	"gantry/schema"
	"gantry/schema/apiextensions"
	"gantry/schema/core"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

func definition(plural, kind, shortName string) string {
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]s.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: %[1]s, kind: %[2]s, shortNames: [%[3]s]}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, plural, kind, shortName)
}

func widget(name, more string) string {
	return "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: " + name + ", namespace: default" + more + "}\n"
}

// conditions are "Established=True InitialNamesAccepted" and so on.
func conditions(c *controllertest.Cluster, name string) string {
	d, ok := controllertest.Get[*apiextensionsv1.CustomResourceDefinition](c, "", name)
	if !ok {
		return "gone"
	}
	var all []string
	for _, s := range d.Status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s %s", s.Type, s.Status, s.Reason))
	}
	return strings.Join(all, ", ")
}

func wantConditions(t *testing.T, c *controllertest.Cluster, name, want string) {
	t.Helper()
	time.Sleep(10 * time.Second)
	if got := conditions(c, name); got != want {
		t.Errorf("%s: got %s, want %s", name, got, want)
	}
}

const established = "NamesAccepted=True NoConflicts, Established=True InitialNamesAccepted"

func count(t *testing.T, c *controllertest.Cluster, k *schema.Kind) int {
	t.Helper()
	list, err := c.Registry.List(c.Context, k, "", registry.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// A definition is established, its objects are collected as all others, and go with it.
func TestDefinitionComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		c.Ready()
		c.Apply(definition("widgets", "Widget", "wd"))
		wantConditions(t, c, "widgets.example.com", established)
		c.Apply(widget("a", "") + "---\n" + widget("b", ", finalizers: [example.com/hold]"))
		k := c.Registry.Kinds().Set().Resource("example.com", "widgets")
		owner, err := c.Registry.Get(c.Context, k, "default", "a", "")
		if err != nil {
			t.Fatal(err)
		}
		c.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned, namespace: default, ownerReferences: [{apiVersion: example.com/v1, kind: Widget, name: a, uid: " + owner.UID() + "}]}\n")

		if _, _, err := c.Registry.Delete(c.Context, apiextensions.CustomResourceDefinition, "", "widgets.example.com", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		wantConditions(t, c, "widgets.example.com", established+", Terminating=True InstanceDeletionCheck")
		if n := count(t, c, c.Registry.Kinds().Set().Resource("example.com", "widgets")); n != 1 {
			t.Errorf("%d objects are left, want the one with a finalizer", n)
		}
		k = c.Registry.Kinds().Set().Resource("example.com", "widgets")
		if _, err := c.Registry.Create(c.Context, k, owner.Object(), registry.WriteOptions{}); err == nil {
			t.Error("an object was created while its definition is being deleted")
		}
		_, err = c.Registry.Modify(c.Context, k, "default", "b", func(current schema.Object) (schema.Object, error) {
			current.SetFinalizers(nil)
			return current, nil
		}, registry.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantConditions(t, c, "widgets.example.com", "gone")
		if k := c.Registry.Kinds().Set().Resource("example.com", "widgets"); k != nil {
			t.Error("the kind is served without its definition")
		}
		time.Sleep(time.Minute)
		if _, err := c.Registry.Get(c.Context, core.ConfigMap, "default", "owned", ""); err == nil {
			t.Error("what the object owned is left")
		}
	})
}

// Names are one definition's of a group, until it goes.
func TestNamesConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		c.Ready()
		c.Apply(definition("widgets", "Widget", "wd"))
		wantConditions(t, c, "widgets.example.com", established)
		c.Apply(definition("gadgets", "Widget", "ga") + "---\n" + definition("others", "Other", "wd"))
		wantConditions(t, c, "gadgets.example.com", "NamesAccepted=False ListKindConflict, Established=False NotAccepted")
		wantConditions(t, c, "others.example.com", "NamesAccepted=False ShortNamesConflict, Established=False NotAccepted")
		if k := c.Registry.Kinds().Set().Resource("example.com", "gadgets"); k != nil {
			t.Error("a kind without accepted names is served")
		}
		if _, _, err := c.Registry.Delete(c.Context, apiextensions.CustomResourceDefinition, "", "widgets.example.com", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		wantConditions(t, c, "gadgets.example.com", established)
		wantConditions(t, c, "others.example.com", established)
		if _, _, err := c.Registry.Delete(c.Context, apiextensions.CustomResourceDefinition, "", "others.example.com", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		wantConditions(t, c, "others.example.com", "gone")
	})
}

// A changed schema is the one that objects are checked by; what they own stays.
func TestSchemaChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controllertest.Start(t, nil)
		c.Ready()
		c.Apply(definition("widgets", "Widget", "wd"))
		wantConditions(t, c, "widgets.example.com", established)
		c.Apply(widget("a", "") + "size: 5\n")
		k := c.Registry.Kinds().Set().Resource("example.com", "widgets")
		owner, err := c.Registry.Get(c.Context, k, "default", "a", "")
		if err != nil {
			t.Fatal(err)
		}
		c.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned, namespace: default, ownerReferences: [{apiVersion: example.com/v1, kind: Widget, name: a, uid: " + owner.UID() + "}]}\n")
		_, err = c.Registry.Modify(c.Context, apiextensions.CustomResourceDefinition, "", "widgets.example.com", func(current schema.Object) (schema.Object, error) {
			s := current.(*apiextensionsv1.CustomResourceDefinition).Spec.Versions[0].Schema.OpenAPIV3Schema
			lowest := 10.0
			s.XPreserveUnknownFields = nil
			s.Properties = map[string]apiextensionsv1.JSONSchemaProps{"size": {Type: "integer", Minimum: &lowest}, "colour": {Type: "string", Default: &apiextensionsv1.JSON{Raw: []byte(`"red"`)}}}
			return current, nil
		}, registry.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		k = c.Registry.Kinds().Set().Resource("example.com", "widgets")
		it, err := c.Registry.Get(c.Context, k, "default", "a", "")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(it.JSON), `"colour":"red"`) || !strings.Contains(string(it.JSON), `"size":5`) {
			t.Errorf("read with the new schema: %s", it.JSON)
		}
		_, err = c.Registry.Modify(c.Context, k, "default", "a", func(current schema.Object) (schema.Object, error) {
			current.(interface{ UnstructuredContent() map[string]any }).UnstructuredContent()["size"] = int64(6)
			return current, nil
		}, registry.WriteOptions{})
		if err == nil || !strings.Contains(err.Error(), "size in body should be greater than or equal to 10") {
			t.Errorf("a write that breaks the new schema: %v", err)
		}
		if _, err := c.Registry.Get(c.Context, core.ConfigMap, "default", "owned", ""); err != nil {
			t.Errorf("what the object owns: %v", err)
		}
	})
}
