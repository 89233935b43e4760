package kindstest

import (
	"math/rand"
	"strconv"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"
)

// Filler fills objects with random content.
func Filler(source rand.Source) *randfill.Filler {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion) // what embedded JSON is made of
	return fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, schemaFuncs), source, serializer.NewCodecFactory(scheme))
}

// schemaFuncs fill the schemas of custom kinds, which contain themselves: one in three has others in it.
func schemaFuncs(serializer.CodecFactory) []any {
	return []any{
		func(s *apiextensionsv1.JSONSchemaProps, c randfill.Continue) {
			var plain struct {
				Type, Format, Description, Pattern string
				Nullable                           bool
				Default                            *apiextensionsv1.JSON
				Required                           []string
				MaxLength                          *int64
				XListType                          *string
				XListMapKeys                       []string
				XIntOrString, XEmbeddedResource    bool
				XValidations                       apiextensionsv1.ValidationRules
			}
			c.Fill(&plain)
			*s = apiextensionsv1.JSONSchemaProps{
				Type: plain.Type, Format: plain.Format, Description: plain.Description, Pattern: plain.Pattern, Nullable: plain.Nullable,
				Default: plain.Default, Required: plain.Required, MaxLength: plain.MaxLength, XListType: plain.XListType,
				XListMapKeys: plain.XListMapKeys, XIntOrString: plain.XIntOrString, XEmbeddedResource: plain.XEmbeddedResource,
				XValidations: plain.XValidations,
			}
			inner := func() (other apiextensionsv1.JSONSchemaProps) { c.Fill(&other); return other }
			switch c.Intn(12) {
			case 0:
				s.Type, s.Properties = "object", map[string]apiextensionsv1.JSONSchemaProps{"a": inner(), "b": inner()}
			case 1:
				item := inner()
				s.Type, s.Items = "array", &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &item}
			case 2:
				values := inner()
				s.AdditionalProperties = &apiextensionsv1.JSONSchemaPropsOrBool{Allows: true, Schema: &values}
			case 3:
				s.AllOf = []apiextensionsv1.JSONSchemaProps{inner()}
			}
		},
		func(v *apiextensionsv1.JSON, c randfill.Continue) {
			v.Raw = []byte(`{"a":"` + strconv.Itoa(c.Intn(100)) + `"}`)
		},
	}
}
