package gateway

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry"
)

// flag reads a boolean parameter as Kubernetes does: given without a value it is true.
func flag(q url.Values, name string) bool {
	v, ok := q[name]
	if !ok {
		return false
	}
	return len(v) == 0 || !(v[0] == "0" || strings.EqualFold(v[0], "false"))
}

// number reads an integer parameter; nil: not given.
func number(q url.Values, name string) (*int64, error) {
	v := q.Get(name)
	if v == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return &n, nil
}

// listOptions reads the parameters of a list.
func listOptions(q url.Values) (registry.ListOptions, error) {
	limit, err := number(q, "limit")
	if err != nil {
		return registry.ListOptions{}, err
	}
	o := registry.ListOptions{
		ResourceVersion:      q.Get("resourceVersion"),
		ResourceVersionMatch: q.Get("resourceVersionMatch"),
		Continue:             q.Get("continue"),
		Labels:               q.Get("labelSelector"),
		Fields:               q.Get("fieldSelector"),
	}
	if limit != nil {
		o.Limit = *limit
	}
	if _, ok := q["sendInitialEvents"]; ok {
		return o, invalidOptions("ListOptions", field.ErrorList{
			field.Forbidden(field.NewPath("sendInitialEvents"), "sendInitialEvents is forbidden for list")})
	}
	return o, nil
}

// watchOptions reads the parameters of a watch and how long it may last.
func watchOptions(q url.Values) (o registry.WatchOptions, timeout time.Duration, err error) {
	seconds, err := number(q, "timeoutSeconds")
	if err != nil {
		return o, 0, err
	}
	if seconds != nil {
		timeout = time.Duration(*seconds) * time.Second
	}
	o = registry.WatchOptions{
		ResourceVersion:      q.Get("resourceVersion"),
		ResourceVersionMatch: q.Get("resourceVersionMatch"),
		Labels:               q.Get("labelSelector"),
		Fields:               q.Get("fieldSelector"),
		Bookmarks:            flag(q, "allowWatchBookmarks"),
	}
	if _, ok := q["sendInitialEvents"]; ok {
		send := flag(q, "sendInitialEvents")
		o.SendInitialEvents = &send
	}
	return o, timeout, nil
}

// writing is what the parameters of a create, update or patch ask for.
type writing struct {
	dryRun bool
	strict bool // unknown fields are errors
	ignore bool // unknown fields are not even warned of
}

// writeOptions reads the parameters of a create, update or patch; kind names the options in errors.
func writeOptions(q url.Values, kind string) (writing, error) {
	dryRun, manager, unknown := q["dryRun"], q.Get("fieldManager"), q.Get("fieldValidation")
	var faults field.ErrorList
	switch kind {
	case "CreateOptions":
		faults = validation.ValidateCreateOptions(&metav1.CreateOptions{DryRun: dryRun, FieldManager: manager, FieldValidation: unknown})
	case "UpdateOptions":
		faults = validation.ValidateUpdateOptions(&metav1.UpdateOptions{DryRun: dryRun, FieldManager: manager, FieldValidation: unknown})
	default:
		o := &metav1.PatchOptions{DryRun: dryRun, FieldManager: manager, FieldValidation: unknown}
		if _, ok := q["force"]; ok {
			force := flag(q, "force")
			o.Force = &force
		}
		faults = validation.ValidatePatchOptions(o, types.MergePatchType)
	}
	if len(faults) > 0 {
		return writing{}, invalidOptions(kind, faults)
	}
	return writing{
		dryRun: len(dryRun) > 0,
		strict: unknown == metav1.FieldValidationStrict,
		ignore: unknown == metav1.FieldValidationIgnore,
	}, nil
}

func invalidOptions(kind string, faults field.ErrorList) error {
	return apierrors.NewInvalid(kschema.GroupKind{Group: metav1.GroupName, Kind: kind}, "", faults)
}
