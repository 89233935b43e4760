package request

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry"
)

// Flag reads a boolean parameter as Kubernetes does: given without a value it is true.
func Flag(q url.Values, name string) bool {
	v, ok := q[name]
	if !ok {
		return false
	}
	return len(v) == 0 || !(v[0] == "0" || strings.EqualFold(v[0], "false"))
}

// Number reads an integer parameter; nil: not given.
func Number(q url.Values, name string) (*int64, error) {
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

// listParameters reads the parameters of a list or a watch and checks them by Kubernetes' rules. A watch of everything that there is
// begins with it and says where that ends, whether or not it asks for that.
func listParameters(q url.Values, watch bool) (*metav1.ListOptions, error) {
	o := &metav1.ListOptions{}
	if err := metav1.Convert_url_Values_To_v1_ListOptions(&q, o, nil); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if watch && o.SendInitialEvents == nil && o.ResourceVersionMatch == "" && (o.ResourceVersion == "" || o.ResourceVersion == "0") {
		send := true
		o.SendInitialEvents, o.ResourceVersionMatch = &send, metav1.ResourceVersionMatchNotOlderThan
	}
	faults := metavalidation.ValidateListOptions(&internalversion.ListOptions{
		Watch: watch, ResourceVersion: o.ResourceVersion, ResourceVersionMatch: o.ResourceVersionMatch, Continue: o.Continue,
		SendInitialEvents: o.SendInitialEvents,
	}, true)
	if len(faults) > 0 {
		return nil, InvalidOptions("ListOptions", faults)
	}
	return o, nil
}

// ReadListOptions reads the parameters of a list.
func ReadListOptions(q url.Values) (registry.ListOptions, error) {
	if len(q) == 0 {
		return registry.ListOptions{}, nil
	}
	o, err := listParameters(q, false)
	if err != nil {
		return registry.ListOptions{}, err
	}
	return registry.ListOptions{
		ResourceVersion: o.ResourceVersion, ResourceVersionMatch: string(o.ResourceVersionMatch), Limit: o.Limit, Continue: o.Continue,
		Labels: o.LabelSelector, Fields: o.FieldSelector,
	}, nil
}

// ReadWatchOptions reads the parameters of a watch and how long it may last.
func ReadWatchOptions(q url.Values) (registry.WatchOptions, time.Duration, error) {
	o, err := listParameters(q, true)
	if err != nil {
		return registry.WatchOptions{}, 0, err
	}
	var timeout time.Duration
	if o.TimeoutSeconds != nil {
		timeout = time.Duration(*o.TimeoutSeconds) * time.Second
	}
	return registry.WatchOptions{
		ResourceVersion: o.ResourceVersion, ResourceVersionMatch: string(o.ResourceVersionMatch), SendInitialEvents: o.SendInitialEvents,
		Labels: o.LabelSelector, Fields: o.FieldSelector, Bookmarks: o.AllowWatchBookmarks,
	}, timeout, nil
}

// WriteOptions is what the parameters of a create, update or patch ask for.
type WriteOptions struct {
	DryRun bool
	Strict bool // unknown fields are errors
	Ignore bool // unknown fields are not even warned of
	Force  bool // an apply takes over what others manage
	// FieldManager and FieldValidation are as they were given.
	FieldManager, FieldValidation string
}

// For are the options of a write of what r names, as the registry takes them.
func (o WriteOptions) For(r *Request) registry.WriteOptions {
	out := registry.WriteOptions{
		Subresource: r.Subresource, DryRun: o.DryRun, FieldManager: o.FieldManager, Client: clientName(r.UserAgent()), FieldValidation: o.FieldValidation,
	}
	if r.Resource != nil && !r.Resource.Virtual {
		out.Version = r.Resource.Version
	}
	return out
}

// clientName is the name that a client gives itself: what its User-Agent has before the first slash, as far as it is printable.
func clientName(agent string) string {
	name, _, _ := strings.Cut(agent, "/")
	plain := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}
	name = strings.Map(plain, name) // not a copy where all of it is printable
	for len(name) > validation.FieldManagerMaxLength {
		_, last := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-last]
	}
	if name == "" {
		return "unknown"
	}
	return name
}

// ReadWriteOptions reads the parameters of a create or update; kind names the options in errors.
func ReadWriteOptions(q url.Values, kind string) (WriteOptions, error) {
	dryRun, manager, unknown := q["dryRun"], q.Get("fieldManager"), q.Get("fieldValidation")
	var faults field.ErrorList
	switch kind {
	case "CreateOptions":
		faults = validation.ValidateCreateOptions(&metav1.CreateOptions{DryRun: dryRun, FieldManager: manager, FieldValidation: unknown})
	case "UpdateOptions":
		faults = validation.ValidateUpdateOptions(&metav1.UpdateOptions{DryRun: dryRun, FieldManager: manager, FieldValidation: unknown})
	}
	return writeOptions(q, kind, faults)
}

// ReadPatchOptions reads the parameters of a patch of a type.
func ReadPatchOptions(q url.Values, patch types.PatchType) (WriteOptions, error) {
	o := &metav1.PatchOptions{DryRun: q["dryRun"], FieldManager: q.Get("fieldManager"), FieldValidation: q.Get("fieldValidation")}
	if _, ok := q["force"]; ok {
		force := Flag(q, "force")
		o.Force = &force
	}
	return writeOptions(q, "PatchOptions", validation.ValidatePatchOptions(o, patch))
}

func writeOptions(q url.Values, kind string, faults field.ErrorList) (WriteOptions, error) {
	if len(faults) > 0 {
		return WriteOptions{}, InvalidOptions(kind, faults)
	}
	unknown := q.Get("fieldValidation")
	return WriteOptions{
		DryRun: len(q["dryRun"]) > 0,
		Strict: unknown == metav1.FieldValidationStrict,
		Ignore: unknown == metav1.FieldValidationIgnore,
		Force:  Flag(q, "force"),

		FieldManager: q.Get("fieldManager"), FieldValidation: unknown,
	}, nil
}

func InvalidOptions(kind string, faults field.ErrorList) error {
	return apierrors.NewInvalid(kschema.GroupKind{Group: metav1.GroupName, Kind: kind}, "", faults)
}
