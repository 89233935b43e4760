package apps

import (
	"encoding/json"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
	"gantry/schema/internal/check"
)

// ControllerRevision is the kind of controllerrevisions.
var ControllerRevision = &schema.Kind{
	Version: schema.Version{
		Group: "apps", Version: "v1", Kind: "ControllerRevision",
		New:     func() schema.Object { return &appsv1.ControllerRevision{} },
		NewList: func() runtime.Object { return &appsv1.ControllerRevisionList{} },
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("Controller", "Controller of the object"),
			schema.TextColumn("Revision", appsv1.ControllerRevision{}.SwaggerDoc()["revision"]),
			schema.AgeColumn(),
		},
		Row: controllerRevisionRow,
	},
	Plural: "controllerrevisions", Singular: "controllerrevision",
	UpdateMeta: schema.MetaOfBoth,
	Namespaced: true,
	Prefix:     "controllerrevisions",

	UnconditionalUpdate: true,
	ValidateName:        apivalidation.NameIsDNSSubdomain,

	Validate:       schema.Validation(validateControllerRevision),
	ValidateUpdate: schema.UpdateValidation(validateControllerRevisionUpdate),
}

// validateControllerRevision checks that
//   - revision is not negative
//   - data is a JSON object.
func validateControllerRevision(r *appsv1.ControllerRevision) field.ErrorList {
	var f check.Errors
	f.NotNegative(field.NewPath("revision"), r.Revision)
	p := field.NewPath("data")
	if r.Data.Raw == nil {
		f.Required(p, "data is mandatory")
		return f.List
	}
	var v any
	if err := schema.CheckDepth(r.Data.Raw); err != nil {
		f.Invalid(p, "<value omitted>", fmt.Sprintf("error parsing data: %v", err))
	} else if err := json.Unmarshal(r.Data.Raw, &v); err != nil {
		f.Invalid(p, "<value omitted>", fmt.Sprintf("error parsing data: %v", err))
	} else if v == nil {
		f.Required(p, "data is mandatory")
	} else if _, is := v.(map[string]any); !is {
		f.Required(p, "data must be a valid JSON object")
	}
	return f.List
}

func validateControllerRevisionUpdate(r, old *appsv1.ControllerRevision) field.ErrorList {
	var f check.Errors
	f.NotNegative(field.NewPath("revision"), r.Revision)
	f.Same(field.NewPath("data"), r.Data, old.Data)
	return f.List
}

func controllerRevisionRow(obj schema.Object, now metav1.Time) []any {
	r := obj.(*appsv1.ControllerRevision)
	controller := schema.Unset
	if ref := metav1.GetControllerOfNoCopy(r); ref != nil {
		gv, _ := kschema.ParseGroupVersion(ref.APIVersion)
		kind := gv.WithKind(ref.Kind).GroupKind()
		if controller = ref.Name; !kind.Empty() {
			controller = strings.ToLower(kind.String()) + "/" + ref.Name
		}
	}
	return []any{r.Name, controller, r.Revision, schema.Age(r.CreationTimestamp, now)}
}
