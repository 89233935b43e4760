package match

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	kjson "sigs.k8s.io/json"

	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/patch"
)

// Objects are the objects of a request in one version of its kind.
type Objects struct {
	Version *schema.Version
	// Kind is the kind of the objects: that of the version, or of the body of a subresource.
	Kind kschema.GroupVersionKind
	// Object and Old are nil where the request has none.
	Object, Old runtime.Object
}

// ObjectsOf shows a request's objects in a version of its kind. They must not be changed.
func ObjectsOf(ctx context.Context, q *admit.Request, v *schema.Version) (o Objects, err error) {
	o = Objects{Version: v, Kind: v.GVK()}
	if body := bodyOf(q); body != nil {
		o.Kind, o.Object = gvkOf(body), body
		if q.Old != nil && gvkOf(q.Old) == o.Kind {
			o.Old = q.Old
		}
		return o, nil
	}
	if o.Object, err = inVersion(ctx, q, v, q.Object); err != nil {
		return o, err
	}
	o.Old, err = inVersion(ctx, q, v, q.Old)
	return o, err
}

// bodyOf is the body of a request for a subresource that is no part of the object; nil where there is none.
func bodyOf(q *admit.Request) runtime.Object {
	if q.Operation == admit.Connect {
		return q.Connection
	}
	if q.Object == nil || gvkOf(q.Object) == (kschema.GroupVersionKind{}) {
		return nil
	}
	return q.Object
}

// bodies are the bodies of subresources.
var bodies = map[reflect.Type]kschema.GroupVersionKind{
	reflect.TypeFor[*autoscalingv1.Scale]():           autoscalingv1.SchemeGroupVersion.WithKind("Scale"),
	reflect.TypeFor[*policyv1.Eviction]():             policyv1.SchemeGroupVersion.WithKind("Eviction"),
	reflect.TypeFor[*corev1.Binding]():                corev1.SchemeGroupVersion.WithKind("Binding"),
	reflect.TypeFor[*authenticationv1.TokenRequest](): authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"),
	reflect.TypeFor[*corev1.PodExecOptions]():         corev1.SchemeGroupVersion.WithKind("PodExecOptions"),
	reflect.TypeFor[*corev1.PodAttachOptions]():       corev1.SchemeGroupVersion.WithKind("PodAttachOptions"),
	reflect.TypeFor[*corev1.PodPortForwardOptions]():  corev1.SchemeGroupVersion.WithKind("PodPortForwardOptions"),
	reflect.TypeFor[*corev1.PodProxyOptions]():        corev1.SchemeGroupVersion.WithKind("PodProxyOptions"),
	reflect.TypeFor[*corev1.ServiceProxyOptions]():    corev1.SchemeGroupVersion.WithKind("ServiceProxyOptions"),
	reflect.TypeFor[*corev1.NodeProxyOptions]():       corev1.SchemeGroupVersion.WithKind("NodeProxyOptions"),
}

func gvkOf(obj runtime.Object) kschema.GroupVersionKind { return bodies[reflect.TypeOf(obj)] }

func inVersion(ctx context.Context, q *admit.Request, v *schema.Version, obj schema.Object) (runtime.Object, error) {
	if obj == nil {
		return nil, nil
	}
	if v == q.Kind.Stored() {
		if obj.GetObjectKind().GroupVersionKind() != v.GVK() {
			obj = obj.DeepCopyObject().(schema.Object)
			v.SetTypeMeta(obj)
		}
		return obj, nil
	}
	out, err := schema.FromStored(ctx, q.Kind, v, []schema.Object{obj})
	if err != nil {
		return nil, fmt.Errorf("converting to %s: %w", v.APIVersion(), err)
	}
	return out[0], nil
}

// Encode is the JSON of an object of a request, or of its options; nil of nil.
func Encode(obj runtime.Object) ([]byte, error) {
	if obj == nil {
		return nil, nil
	}
	if o, ok := obj.(schema.Object); ok && obj.GetObjectKind().GroupVersionKind() != (kschema.GroupVersionKind{}) {
		return schema.Encode(o)
	}
	return json.Marshal(obj)
}

// Patch is Object after a JSON patch, as Decode returns it.
func (o Objects) Patch(operations []byte) (obj schema.Object, warnings []string, err error) {
	before, err := Encode(o.Object)
	if err != nil {
		return nil, nil, err
	}
	after, err := patch.Apply(o.Version, string(types.JSONPatchType), before, operations)
	if err != nil {
		return nil, nil, err
	}
	return o.Decode(after)
}

// Decode reads JSON of an object as Object is one, and sets its defaults. The warnings name fields that are unknown or there twice.
func (o Objects) Decode(data []byte) (obj schema.Object, warnings []string, err error) {
	if o.Kind != o.Version.GVK() {
		obj = reflect.New(reflect.TypeOf(o.Object).Elem()).Interface().(schema.Object)
		strict, err := kjson.UnmarshalStrict(data, obj)
		for _, e := range strict {
			warnings = append(warnings, e.Error())
		}
		return obj, warnings, err
	}
	obj, warnings, err = schema.Decode(o.Version, data)
	if err == nil && o.Version.Default != nil {
		o.Version.Default(obj)
	}
	return obj, warnings, err
}

// Replace makes the request's object what obj is, an object in the version of o or a body of the same type.
func (o Objects) Replace(ctx context.Context, q *admit.Request, obj schema.Object) error {
	if o.Version != q.Kind.Stored() && o.Kind == o.Version.GVK() {
		stored, err := schema.ToStored(ctx, q.Kind, o.Version, []schema.Object{obj})
		if err != nil {
			return fmt.Errorf("converting from %s: %w", o.Version.APIVersion(), err)
		}
		obj = stored[0]
	}
	reflect.ValueOf(q.Object).Elem().Set(reflect.ValueOf(obj).Elem())
	return nil
}

// Resource is the resource of the objects' version.
func (o Objects) Resource(q *admit.Request) kschema.GroupVersionResource {
	return o.Version.GV().WithResource(q.Kind.Plural)
}

// Attributes is the request as Kubernetes' library for CEL expressions reads it.
func (o Objects) Attributes(q *admit.Request) *admission.VersionedAttributes {
	kind := o.Kind
	if o.Kind == o.Version.GVK() {
		kind = q.Version.GVK()
	}
	extra := map[string][]string{}
	for key, values := range maps.All(q.User.Extra) {
		extra[key] = values
	}
	who := &user.DefaultInfo{Name: q.User.Username, UID: q.User.UID, Groups: q.User.Groups, Extra: extra}
	return &admission.VersionedAttributes{
		Attributes: admission.NewAttributesRecord(o.Object, o.Old, kind, q.Namespace, q.Name, q.Version.GV().WithResource(q.Kind.Plural), q.Subresource,
			admission.Operation(q.Operation), q.Options(), q.DryRun, who),
		VersionedKind: o.Kind, VersionedObject: o.Object, VersionedOldObject: o.Old,
	}
}
