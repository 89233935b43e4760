package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

// PodTemplate is the kind of podtemplates.
var PodTemplate = &schema.Kind{
	Version: schema.Version{
		Group: "", Version: "v1", Kind: "PodTemplate",
		New:     func() schema.Object { return &corev1.PodTemplate{} },
		NewList: func() runtime.Object { return &corev1.PodTemplateList{} },
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("Containers", containersDoc),
			schema.TextColumn("Images", imagesDoc),
			schema.TextColumn("Pod Labels", "The labels for the pod template."),
		},
		Row: func(obj schema.Object, _ metav1.Time) []any {
			t := obj.(*corev1.PodTemplate)
			return append(append([]any{t.Name}, ContainerCells(&t.Template)...), labels.FormatLabels(t.Template.Labels))
		},
		Default: schema.Preparation(func(t *corev1.PodTemplate) { DefaultPodSpec(&t.Template.Spec) }),
	},
	Plural: "podtemplates", Singular: "podtemplate",
	Namespaced:     true,
	ReturnsDeleted: true,
	Prefix:         "podtemplates",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	PrepareCreate: schema.Preparation(func(t *corev1.PodTemplate) {
		t.Generation = 1
		DropOff(&t.Template.Spec, nil)
	}),
	PrepareUpdate: schema.UpdatePreparation(func(t, old *corev1.PodTemplate) {
		DropOff(&t.Template.Spec, &old.Template.Spec)
		t.Generation = old.Generation
		if !equality.Semantic.DeepEqual(t.Template, old.Template) {
			t.Generation++
		}
	}),
	Bound: schema.Validation(func(t *corev1.PodTemplate) field.ErrorList {
		return BoundPodSpec(&t.Template.Spec, barePath.Child("spec"))
	}),
	Validate: schema.Validation(func(t *corev1.PodTemplate) field.ErrorList { return ValidatePodTemplate(&t.Template, barePath) }),
	ValidateUpdate: schema.UpdateValidation(func(t, _ *corev1.PodTemplate) field.ErrorList {
		return ValidatePodTemplate(&t.Template, barePath)
	}),
	Warnings: schema.Warnings(func(t, old *corev1.PodTemplate) []string {
		if old != nil && t.Generation == old.Generation {
			return nil
		}
		return PodWarnings(&t.Template.ObjectMeta, &t.Template.Spec, barePath)
	}),
}

// barePath is where a PodTemplate has its template.
var barePath = field.NewPath("template")
