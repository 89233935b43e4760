package customresource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"gantry/schema"
)

// Post posts a JSON body to a conversion webhook and returns the JSON body of its answer.
type Post func(ctx context.Context, to *apiextensionsv1.WebhookClientConfig, body []byte) ([]byte, error)

// webhook converts the objects of a definition by its conversion webhook. Its errors have Kubernetes' texts.
type webhook struct {
	*apiextensionsv1.WebhookConversion
	post Post
}

// convert makes objects of version to of objects of any version; those that are of it already are not sent.
func (w webhook) convert(ctx context.Context, objs []schema.Object, to *schema.Version) ([]schema.Object, error) {
	out := slices.Clone(objs)
	var sent []*unstructured.Unstructured
	var at []int // of sent, in out
	for i, obj := range objs {
		if u := obj.(*unstructured.Unstructured); u.GetAPIVersion() != to.APIVersion() && !isEmpty(u) {
			sent, at = append(sent, u), append(at, i)
		} else {
			out[i] = u.DeepCopy()
		}
	}
	if len(sent) == 0 {
		return out, nil
	}
	converted, err := w.ask(ctx, sent, to, subjectOf(objs, to))
	if err != nil {
		return nil, err
	}
	for n, u := range converted {
		out[at[n]] = u
	}
	return out, nil
}

// subjectOf is what an error is about: the object, or the list of its kind in the wanted version.
func subjectOf(objs []schema.Object, to *schema.Version) kschema.GroupVersionKind {
	if len(objs) == 1 {
		return objs[0].GetObjectKind().GroupVersionKind()
	}
	return to.GV().WithKind(to.ListKind())
}

// isEmpty tells that an object has only its type, which Kubernetes does not ask a webhook about.
func isEmpty(u *unstructured.Unstructured) bool {
	_, kind := u.Object["kind"]
	_, version := u.Object["apiVersion"]
	return len(u.Object) == 2 && kind && version
}

func (w webhook) ask(ctx context.Context, objs []*unstructured.Unstructured, to *schema.Version, subject kschema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	if !slices.Contains(w.ConversionReviewVersions, "v1") {
		return nil, errors.New("no supported conversion review versions")
	}
	review := &apiextensionsv1.ConversionReview{
		TypeMeta: reviewType,
		Request:  &apiextensionsv1.ConversionRequest{UID: uuid.NewUUID(), DesiredAPIVersion: to.APIVersion()},
	}
	for _, u := range objs {
		data, err := schema.Encode(u)
		if err != nil {
			return nil, fmt.Errorf("conversion webhook for %v failed: %w", subject, err)
		}
		review.Request.Objects = append(review.Request.Objects, runtime.RawExtension{Raw: data})
	}
	body, err := json.Marshal(review)
	if err != nil {
		return nil, fmt.Errorf("conversion webhook for %v failed: %w", subject, err)
	}
	answer, err := w.post(ctx, w.ClientConfig, body)
	if err != nil {
		return nil, fmt.Errorf("conversion webhook for %v failed: %w", subject, err)
	}
	converted, err := objectsIn(answer, review.Request.UID)
	if err != nil {
		return nil, fmt.Errorf("conversion webhook for %v failed: %w", subject, err)
	}
	if len(converted) != len(objs) {
		return nil, fmt.Errorf("conversion webhook for %v returned %d objects, expected %d", subject, len(converted), len(objs))
	}
	out := make([]*unstructured.Unstructured, len(objs))
	for i := range objs {
		var wrong string
		if out[i], wrong, err = accept(objs[i], converted[i].Raw, to); err == nil {
			continue
		}
		switch {
		case subject.Kind == to.ListKind() && wrong == wrongMetadata:
			wrong = fmt.Sprintf("metadata in object at index %d", i)
		case subject.Kind == to.ListKind():
			wrong = fmt.Sprintf("converted object at index %d", i)
		}
		return nil, fmt.Errorf("conversion webhook for %v returned invalid %s: %w", subject, wrong, err)
	}
	return out, nil
}

// What can be wrong with an object that a webhook returns.
const (
	wrongType     = "object at index 0"
	wrongIdentity = "object"
	wrongMetadata = "metadata"
)

var reviewType = metav1.TypeMeta{APIVersion: apiextensionsv1.SchemeGroupVersion.String(), Kind: "ConversionReview"}

// objectsIn are the objects in a webhook's answer to the request of a uid.
func objectsIn(answer []byte, uid types.UID) ([]runtime.RawExtension, error) {
	var review apiextensionsv1.ConversionReview
	if err := kjson.UnmarshalCaseSensitivePreserveInts(answer, &review); err != nil {
		return nil, err
	}
	if got, want := review.GroupVersionKind(), reviewType.GroupVersionKind(); got != want {
		return nil, fmt.Errorf("expected webhook response of %v, got %v", want, got)
	}
	r := review.Response
	switch {
	case r == nil:
		return nil, errors.New("no response provided")
	case r.UID != uid:
		return nil, fmt.Errorf("expected response.uid=%q, got %q", uid, r.UID)
	case r.Result.Status == metav1.StatusSuccess:
		return r.ConvertedObjects, nil
	case r.Result.Message != "":
		return nil, errors.New(r.Result.Message)
	}
	return nil, fmt.Errorf("response.result.status was '%s', not 'Success'", r.Result.Status)
}

// accept is what a webhook made of in: of its metadata, only labels and annotations count. wrong is what the error is about.
func accept(in *unstructured.Unstructured, raw []byte, to *schema.Version) (out *unstructured.Unstructured, wrong string, err error) {
	out = &unstructured.Unstructured{}
	if err := schema.CheckDepth(raw); err != nil {
		return nil, wrongType, err
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &out.Object); err != nil {
		return nil, wrongType, err
	}
	if out.Object == nil {
		return nil, wrongType, errors.New("it is not a JSON object")
	}
	if want, got := to.GV(), out.GroupVersionKind().GroupVersion(); want != got {
		return nil, wrongType, fmt.Errorf("invalid groupVersion (expected %v, received %v)", want, got)
	}
	if want, got := in.GetKind(), out.GetKind(); want != got {
		return nil, wrongType, fmt.Errorf("invalid kind (expected %v, received %v)", want, got)
	}
	for _, same := range []struct{ what, want, got string }{
		{"name", in.GetName(), out.GetName()},
		{"namespace", in.GetNamespace(), out.GetNamespace()},
		{"UID", string(in.GetUID()), string(out.GetUID())},
	} {
		if same.want != same.got {
			return nil, wrongIdentity, fmt.Errorf("must have the same %s: %v != %v", same.what, same.want, same.got)
		}
	}
	return out, wrongMetadata, restoreMetadata(in, out)
}

// restoreMetadata makes the metadata of out that of in, except for labels and annotations.
func restoreMetadata(in, out *unstructured.Unstructured) error {
	there, ok := out.Object["metadata"]
	if !ok {
		return errors.New("missing metadata in converted object")
	}
	got, ok := there.(map[string]any)
	if !ok {
		return fmt.Errorf("invalid metadata of type %T in converted object", there)
	}
	had, _ := in.Object["metadata"].(map[string]any)
	next := runtime.DeepCopyJSON(maps.Clone(had))
	if next == nil {
		next = map[string]any{}
	}
	out.Object["metadata"] = next
	for _, member := range []string{"labels", "annotations"} {
		if got[member] == nil {
			delete(next, member)
			continue
		}
		texts, err := textsOf(member, got[member])
		if err != nil {
			return err
		}
		was, _, _ := unstructured.NestedStringMap(next, member)
		if next[member] = got[member]; !maps.Equal(was, texts) {
			if errs := textErrors(member, texts); len(errs) > 0 {
				return errs.ToAggregate()
			}
		}
	}
	return nil
}

func textsOf(member string, value any) (map[string]string, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("invalid metadata.%s of type %T in converted object", member, value)
	}
	texts := make(map[string]string, len(object))
	for key, v := range object {
		text, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("metadata.%s[%s] must be a string, but is %T in converted object", member, key, v)
		}
		texts[key] = text
	}
	return texts, nil
}

func textErrors(member string, texts map[string]string) field.ErrorList {
	if member == "labels" {
		return metav1validation.ValidateLabels(texts, field.NewPath("metadata", "labels"))
	}
	return apivalidation.ValidateAnnotations(texts, field.NewPath("metadata", "annotation"))
}
