package gateway

import (
	"fmt"
	"net/http"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry/admit"
)

// evict deletes a pod where its disruption budget allows it: POST pods/<name>/eviction.
func (g *gateway) evict(w http.ResponseWriter, r *request.Request) error {
	o, err := request.ReadWriteOptions(r.Query, "CreateOptions")
	if err != nil {
		return err
	}
	body, err := decode.ReadContent(r.Request)
	if err != nil {
		return err
	}
	ev, err := decodeEviction(w, r, body, o)
	if err != nil {
		return err
	}
	var texts []string
	admitted := o.For(r)
	admitted.Warn = encode.CollectWarnings(&texts)
	err = g.reg.Admit(r.Context(), admit.Create, r.Kind, r.Scope(), r.Name, ev, func() error {
		if ev.Name != r.Name {
			return apierrors.NewBadRequest("name in URL does not match name in Eviction object")
		}
		return decode.PlaceObject(ev, r.Scope())
	}, admitted)
	if err != nil {
		return err
	}
	if o := ev.DeleteOptions; o != nil && o.IgnoreStoreReadErrorWithClusterBreakingPotential != nil && *o.IgnoreStoreReadErrorWithClusterBreakingPotential {
		at := field.NewPath("deleteOptions", "ignoreStoreReadErrorWithClusterBreakingPotential")
		return apierrors.NewInvalid(evictionBody.GVK().GroupKind(), r.Name, field.ErrorList{field.Invalid(at, true, "can not be set for pod eviction, try after removing the option")})
	}
	if ev.DeleteOptions == nil {
		ev.DeleteOptions = &metav1.DeleteOptions{}
	}
	opts, err := registryDelete(r, ev.DeleteOptions)
	if err != nil {
		return err
	}
	opts.DryRun = opts.DryRun || o.DryRun
	if g.nodes.Applies(r) {
		old, err := g.reg.Get(r.Context(), r.Kind, r.Scope(), r.Name, "")
		if err != nil {
			return err
		}
		if err := g.nodes.CheckDelete(r, old.Object()); err != nil {
			return err
		}
	}
	if _, _, err := g.reg.Delete(r.Context(), r.Kind, r.Scope(), r.Name, opts); err != nil {
		return err
	}
	encode.Warnings(w, texts)
	return encode.Object(w, r, http.StatusCreated, success(http.StatusCreated))
}

// decodeEviction also takes the policy/v1beta1 form, which has the same fields.
func decodeEviction(w http.ResponseWriter, r *request.Request, body decode.Content, o request.WriteOptions) (*policyv1.Eviction, error) {
	if body.Protobuf {
		obj, err := decode.DecodeProtobuf(evictionBody, body.Data)
		if err != nil {
			return nil, err
		}
		return obj.(*policyv1.Eviction), nil
	}
	var head metav1.TypeMeta
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body.Data, &head); err == nil && head.APIVersion == "policy/v1beta1" && head.Kind == "Eviction" {
		ev := &policyv1.Eviction{}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(body.Data, ev); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("Eviction in version \"v1beta1\" cannot be handled as a Eviction: %v", err))
		}
		return ev, nil
	}
	obj, err := decode.Decode(w, r, evictionBody, body.Data, o)
	if err != nil {
		return nil, err
	}
	return obj.(*policyv1.Eviction), nil
}
