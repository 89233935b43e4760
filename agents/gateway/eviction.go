package gateway

import (
	"fmt"
	"net/http"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
)

// evict deletes a pod on behalf of somebody who empties its node. There are no disruption budgets to ask yet.
func (g *gateway) evict(w http.ResponseWriter, r *request) error {
	o, err := writeOptions(r.query, "CreateOptions")
	if err != nil {
		return err
	}
	body, err := readContent(r.Request)
	if err != nil {
		return err
	}
	ev, err := decodeEviction(w, body, o)
	if err != nil {
		return err
	}
	if ev.Name != "" && ev.Name != r.name {
		return apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	if err := placeObject(ev, r.scope()); err != nil {
		return err
	}
	if ev.DeleteOptions == nil {
		ev.DeleteOptions = &metav1.DeleteOptions{}
	}
	opts, err := registryDelete(r, ev.DeleteOptions)
	if err != nil {
		return err
	}
	opts.DryRun = opts.DryRun || o.dryRun
	if g.nodes.restricted(r) {
		old, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, "")
		if err != nil {
			return err
		}
		if err := g.nodes.restrictDelete(r, old.Object()); err != nil {
			return err
		}
	}
	if _, _, err := g.reg.Delete(r.Context(), r.kind, r.scope(), r.name, opts); err != nil {
		return err
	}
	return sendObject(w, r, http.StatusCreated, success(http.StatusCreated))
}

// decodeEviction also takes the policy/v1beta1 form, which has the same fields.
func decodeEviction(w http.ResponseWriter, body content, o writing) (*policyv1.Eviction, error) {
	if body.protobuf {
		obj, err := decodeProtobuf(evictionKind, body.data)
		if err != nil {
			return nil, err
		}
		return obj.(*policyv1.Eviction), nil
	}
	var head metav1.TypeMeta
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body.data, &head); err == nil && head.APIVersion == "policy/v1beta1" && head.Kind == "Eviction" {
		ev := &policyv1.Eviction{}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(body.data, ev); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("Eviction in version \"v1beta1\" cannot be handled as a Eviction: %v", err))
		}
		return ev, nil
	}
	obj, err := decode(w, evictionKind, body.data, o)
	if err != nil {
		return nil, err
	}
	return obj.(*policyv1.Eviction), nil
}
