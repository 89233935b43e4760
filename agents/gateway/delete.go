package gateway

import (
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	"gantry/agents/gateway/decode"
	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
)

// delete deletes an object, or sets its deletionTimestamp where finalizers or a grace period keep it.
func (g *gateway) delete(w http.ResponseWriter, r *request.Request) error {
	o, opts, err := readDelete(r)
	if err != nil {
		return err
	}
	if g.nodes.Applies(r) {
		old, err := g.reg.Get(r.Context(), r.Kind, r.Scope(), r.Name, "")
		if err != nil {
			return err
		}
		if err := g.nodes.CheckDelete(r, old.Object()); err != nil {
			return err
		}
	}
	var texts []string
	o.Warn = encode.CollectWarnings(&texts)
	item, gone, err := g.reg.Delete(r.Context(), r.Kind, r.Scope(), r.Name, o)
	encode.Warnings(w, texts)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if !gone && opts.OrphanDependents != nil && !*opts.OrphanDependents {
		code = http.StatusAccepted
	}
	if gone && !r.Kind.ReturnsDeleted || item == nil {
		return encode.Object(w, r, code, deletedStatus(r, item))
	}
	return encode.Item(w, r, code, item)
}

func deletedStatus(r *request.Request, item *registry.Item) *metav1.Status {
	details := &metav1.StatusDetails{Name: r.Name, Group: r.Group, Kind: r.Kind.Plural}
	if item != nil {
		details.UID = types.UID(item.UID())
	}
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusSuccess, Details: details,
	}
}

// deleteCollection deletes what a list with the same parameters would show, and answers with it.
func (g *gateway) deleteCollection(w http.ResponseWriter, r *request.Request) error {
	l, err := request.ReadListOptions(r.Query)
	if err != nil {
		return err
	}
	o, _, err := readDelete(r)
	if err != nil {
		return err
	}
	l.Version = r.Resource.Version
	var texts []string
	o.Warn = encode.CollectWarnings(&texts)
	list, err := g.reg.DeleteCollection(r.Context(), r.Kind, r.Scope(), o, l)
	encode.Warnings(w, texts)
	if err != nil {
		return err
	}
	return encode.List(w, r, list)
}

// readDelete reads DeleteOptions from the body or, without one, from the parameters; dryRun from either, since what was asked for as
// a trial must not be done.
func readDelete(r *request.Request) (registry.DeleteOptions, *metav1.DeleteOptions, error) {
	body, err := decode.ReadContentIfAny(r.Request)
	if err != nil {
		return registry.DeleteOptions{}, nil, err
	}
	o := &metav1.DeleteOptions{}
	if len(body.Data) > 0 {
		err = decodeDelete(body, o)
	} else {
		err = metav1.Convert_url_Values_To_v1_DeleteOptions(&r.Query, o, nil)
	}
	if apierrors.IsRequestEntityTooLargeError(err) {
		return registry.DeleteOptions{}, nil, err
	}
	if err != nil {
		return registry.DeleteOptions{}, nil, apierrors.NewBadRequest(err.Error())
	}
	if v := r.Query["dryRun"]; len(v) > 0 && len(o.DryRun) == 0 {
		o.DryRun = v
	}
	o.IgnoreStoreReadErrorWithClusterBreakingPotential = nil // as where its feature gate is off
	if faults := validation.ValidateDeleteOptions(o); len(faults) > 0 {
		return registry.DeleteOptions{}, nil, request.InvalidOptions("DeleteOptions", faults)
	}
	out, err := registryDelete(r, o)
	return out, o, err
}

// decodeDelete reads DeleteOptions from a body.
func decodeDelete(body decode.Content, o *metav1.DeleteOptions) error {
	var head runtime.TypeMeta
	var err error
	if body.Protobuf {
		head, err = decode.UnwrapProtobuf(body.Data, o)
	} else {
		if err := kjson.UnmarshalCaseSensitivePreserveInts(body.Data, &head); err != nil {
			return fmt.Errorf("couldn't get version/kind; json parse error: %w", err)
		}
		err = kjson.UnmarshalCaseSensitivePreserveInts(body.Data, o)
	}
	if err == nil && head.Kind != "" && head.Kind != "DeleteOptions" {
		err = fmt.Errorf("no kind %q is registered for version %q in scheme \"pkg/runtime/scheme.go:111\"", head.Kind, head.APIVersion)
	}
	return err
}

// registryDelete is o as the registry takes it.
func registryDelete(r *request.Request, o *metav1.DeleteOptions) (registry.DeleteOptions, error) {
	out := registry.DeleteOptions{DryRun: len(o.DryRun) > 0, GracePeriodSeconds: o.GracePeriodSeconds, Version: r.Resource.Version, Subresource: r.Subresource}
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
	match, err := request.IfMatch(r.Request)
	if match != "" {
		out.ResourceVersion = match
	}
	return out, err
}
