package apiextensions

import (
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

func widgets() *definition {
	yes := true
	return &definition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com", ResourceVersion: "1"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: &yes,
				}},
			}},
		},
	}
}

func TestErrors(t *testing.T) {
	checktest.Create(t, CustomResourceDefinition, widgets, []checktest.Case[*definition]{
		{Name: "good"},
		{Name: "name", In: func(d *definition) { d.Name = "x" }, Want: []string{`metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group`}},
		{Name: "no storage version", In: func(d *definition) { d.Spec.Versions[0].Storage = false }, Want: []string{
			`spec.versions: Invalid value: [{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}]: must have exactly one version marked as storage version`,
		}},
		{Name: "not structural", In: func(d *definition) {
			d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{"a": {}}
		}, Want: []string{
			"spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields",
		}},
		{Name: "no expression", In: func(d *definition) {
			d.Spec.Versions[0].Schema.OpenAPIV3Schema.XValidations = apiextensionsv1.ValidationRules{{Rule: "self.nothing > 0"}}
		}, Want: []string{
			"spec.validation.openAPIV3Schema.x-kubernetes-validations[0].rule: Invalid value: {\"Rule\":\"self.nothing \\u003e 0\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\",\"OptionalOldSelf\":null}: compilation failed: ERROR: <input>:1:5: undefined field 'nothing'\n | self.nothing > 0\n | ....^",
		}},
		{Name: "a group of Kubernetes", In: func(d *definition) { d.Name, d.Spec.Group = "widgets.x.k8s.io", "x.k8s.io" }, Want: []string{
			`metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111`,
		}},
	})
	checktest.Update(t, CustomResourceDefinition, func() *definition {
		d := widgets()
		d.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: "True"}}
		return d
	}, []checktest.Case[*definition]{
		{Name: "good"},
		{Name: "kind", In: func(d *definition) { d.Spec.Names.Kind = "Gadget" }, Want: []string{`spec.names.kind: Invalid value: "Gadget": field is immutable`}},
	})
}

func TestPreparation(t *testing.T) {
	d := widgets()
	CustomResourceDefinition.Default(d)
	d.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established}}
	CustomResourceDefinition.PrepareCreate(d)
	if d.Status.Conditions != nil || d.Generation != 1 || !slices.Equal(d.Status.StoredVersions, []string{"v1"}) {
		t.Errorf("created: %+v", d.Status)
	}
	if n := d.Spec.Names; n.Singular != "widget" || n.ListKind != "WidgetList" || d.Spec.Conversion.Strategy != "None" {
		t.Errorf("defaults: %+v", d.Spec)
	}
	next := d.DeepCopy()
	next.Spec.Versions[0].Storage = false
	next.Spec.Versions = append(next.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{Name: "v2", Storage: true})
	CustomResourceDefinition.PrepareUpdate(next, d)
	if next.Generation != 2 || !slices.Equal(next.Status.StoredVersions, []string{"v1", "v2"}) || len(d.Status.StoredVersions) != 1 {
		t.Errorf("updated: %+v, old %+v", next.Status, d.Status)
	}
	status := next.DeepCopy()
	status.Spec.Group, status.Status.StoredVersions, status.Finalizers = "x", []string{"v2"}, []string{"a/b"}
	CustomResourceDefinition.Subresource("status").Prepare(status, next)
	if status.Spec.Group != "example.com" || len(status.Status.StoredVersions) != 1 || len(status.Finalizers) != 1 {
		t.Errorf("status: %+v", status)
	}
}

func TestWarnings(t *testing.T) {
	d := widgets()
	d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{
		"a": {Type: "string", Format: "strange"}, "b": {Type: "string", Format: "date-time"},
	}
	if got := CustomResourceDefinition.Warnings(d, nil); !slices.Equal(got, []string{`unrecognized format "strange"`}) {
		t.Errorf("%q", got)
	}
	other := d.DeepCopy()
	other.Spec.Versions[0].Deprecated = true
	if got := CustomResourceDefinition.Warnings(other, d); got != nil {
		t.Errorf("of an update: %q", got)
	}
}
