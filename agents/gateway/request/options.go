package request

import (
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// ReadListOptions reads the parameters of a list.
func ReadListOptions(q url.Values) (registry.ListOptions, error) {
	limit, err := Number(q, "limit")
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
		return o, InvalidOptions("ListOptions", field.ErrorList{
			field.Forbidden(field.NewPath("sendInitialEvents"), "sendInitialEvents is forbidden for list")})
	}
	return o, nil
}

// ReadWatchOptions reads the parameters of a watch and how long it may last.
func ReadWatchOptions(q url.Values) (o registry.WatchOptions, timeout time.Duration, err error) {
	seconds, err := Number(q, "timeoutSeconds")
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
		Bookmarks:            Flag(q, "allowWatchBookmarks"),
	}
	if _, ok := q["sendInitialEvents"]; ok {
		send := Flag(q, "sendInitialEvents")
		o.SendInitialEvents = &send
	}
	return o, timeout, nil
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
