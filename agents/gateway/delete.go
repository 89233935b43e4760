package gateway

import (
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	"gantry/registry"
)

// delete deletes an object, or marks it where something holds it.
func (g *gateway) delete(w http.ResponseWriter, r *request) error {
	o, opts, err := readDelete(w, r)
	if err != nil {
		return err
	}
	if g.nodes.restricted(r) {
		old, err := g.reg.Get(r.Context(), r.kind, r.scope(), r.name, "")
		if err != nil {
			return err
		}
		if err := g.nodes.restrictDelete(r, old.Object()); err != nil {
			return err
		}
	}
	item, gone, err := g.reg.Delete(r.Context(), r.kind, r.scope(), r.name, o)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if !gone && opts.OrphanDependents != nil && !*opts.OrphanDependents {
		code = http.StatusAccepted
	}
	if gone && !returnsDeleted[r.kind.Kind] || item == nil {
		return sendObject(w, r, code, deletedStatus(r, item))
	}
	return sendItem(w, r, code, item)
}

// returnsDeleted names the kinds whose delete answers with the object even when it is gone.
var returnsDeleted = map[string]bool{"Pod": true, "Service": true, "ServiceAccount": true}

func deletedStatus(r *request, item *registry.Item) *metav1.Status {
	details := &metav1.StatusDetails{Name: r.name, Group: r.kind.Group, Kind: r.kind.Plural}
	if item != nil {
		details.UID = types.UID(item.UID())
	}
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusSuccess, Details: details,
	}
}

// deleteCollection deletes what a list with the same parameters would show, and answers with it.
func (g *gateway) deleteCollection(w http.ResponseWriter, r *request) error {
	o, _, err := readDelete(w, r)
	if err != nil {
		return err
	}
	l, err := listOptions(r.query)
	if err != nil {
		return err
	}
	if o.UID != "" || o.ResourceVersion != "" {
		return apierrors.NewBadRequest("preconditions may not be set for a collection")
	}
	items, err := g.reg.DeleteCollection(r.Context(), r.kind, r.scope(), o, l)
	if err != nil {
		return err
	}
	list := registry.List{Items: items}
	for _, it := range items {
		list.Revision = max(list.Revision, it.Revision)
	}
	return sendList(w, r, list)
}

// readDelete reads DeleteOptions from the body or, without one, from the parameters; dryRun from either.
func readDelete(w http.ResponseWriter, r *request) (registry.DeleteOptions, *metav1.DeleteOptions, error) {
	body, err := readContentIfAny(r.Request)
	if err != nil {
		return registry.DeleteOptions{}, nil, err
	}
	o := &metav1.DeleteOptions{}
	if len(body.data) > 0 {
		err = decodeDelete(body, o)
	} else {
		err = deleteParameters(r, o)
	}
	if err != nil {
		return registry.DeleteOptions{}, nil, err
	}
	if v := r.query["dryRun"]; len(v) > 0 && len(o.DryRun) == 0 {
		o.DryRun = v
	}
	if faults := validation.ValidateDeleteOptions(o); len(faults) > 0 {
		return registry.DeleteOptions{}, nil, invalidOptions("DeleteOptions", faults)
	}
	out, err := registryDelete(r, o)
	return out, o, err
}

// decodeDelete reads DeleteOptions from a body.
func decodeDelete(body content, o *metav1.DeleteOptions) error {
	var err error
	if body.protobuf {
		var head runtime.TypeMeta
		head, err = unwrapProtobuf(body.data, o)
		o.Kind = head.Kind
	} else {
		err = kjson.UnmarshalCaseSensitivePreserveInts(body.data, o)
	}
	switch {
	case err != nil:
		return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type DeleteOptions): %v (%s)", err, summary(body.data)))
	case o.Kind != "" && o.Kind != "DeleteOptions":
		return apierrors.NewBadRequest("decoded object cannot be converted to DeleteOptions")
	}
	return nil
}

// deleteParameters reads DeleteOptions from the query.
func deleteParameters(r *request, o *metav1.DeleteOptions) error {
	grace, err := number(r.query, "gracePeriodSeconds")
	if err != nil {
		return err
	}
	o.GracePeriodSeconds = grace
	if v := r.query.Get("propagationPolicy"); v != "" {
		policy := metav1.DeletionPropagation(v)
		o.PropagationPolicy = &policy
	}
	if v := r.query.Get("orphanDependents"); v != "" {
		orphan, err := strconv.ParseBool(v)
		if err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
		o.OrphanDependents = &orphan
	}
	return nil
}

// registryDelete is o as the registry takes it.
func registryDelete(r *request, o *metav1.DeleteOptions) (registry.DeleteOptions, error) {
	out := registry.DeleteOptions{DryRun: len(o.DryRun) > 0, GracePeriodSeconds: o.GracePeriodSeconds}
	if o.PropagationPolicy != nil {
		out.Propagation = string(*o.PropagationPolicy)
	} else if o.OrphanDependents != nil {
		out.Propagation = string(metav1.DeletePropagationBackground)
		if *o.OrphanDependents {
			out.Propagation = string(metav1.DeletePropagationOrphan)
		}
	}
	if p := o.Preconditions; p != nil {
		if p.UID != nil {
			out.UID = string(*p.UID)
		}
		if p.ResourceVersion != nil {
			out.ResourceVersion = *p.ResourceVersion
		}
	}
	match, err := ifMatch(r.Request)
	if match != "" {
		out.ResourceVersion = match
	}
	return out, err
}
