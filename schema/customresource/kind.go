// Package customresource makes of a CustomResourceDefinition the kind that it defines. Structural schemas, pruning, defaulting and validation are
// those of k8s.io/apiextensions-apiserver.
package customresource

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kversion "k8s.io/apimachinery/pkg/version"

	"gantry/schema"
	"gantry/schema/apiextensions"
	"gantry/schema/internal/structural"
)

type (
	definition        = apiextensionsv1.CustomResourceDefinition
	definitionVersion = apiextensionsv1.CustomResourceDefinitionVersion
)

// Served tells whether the objects of a definition are served: its names have been accepted, or were once.
func Served(d *definition) bool {
	return apiextensions.HasCondition(d, apiextensionsv1.NamesAccepted) || apiextensions.HasCondition(d, apiextensionsv1.Established)
}

// Kind is the kind that a definition defines, by the names that were accepted. post asks its conversion webhook; nil: objects are not converted
// by webhooks here. The error says why there is no such kind: then the definition was not validated. d is not kept.
func Kind(d *definition, post Post) (*schema.Kind, error) {
	names := d.Status.AcceptedNames
	if names.Plural == "" || names.Singular == "" || names.Kind == "" || names.ListKind == "" {
		return nil, errors.New("no names have been accepted")
	}
	if d.Spec.Group == "" || strings.Contains(d.Spec.Group+names.Plural, "/") {
		return nil, fmt.Errorf("%q of group %q is no name of a resource", names.Plural, d.Spec.Group)
	}
	if !slices.ContainsFunc(d.Spec.Versions, func(v definitionVersion) bool { return v.Storage }) {
		return nil, errors.New("no version is marked as storage version")
	}
	var all []*version
	for i := range d.Spec.Versions {
		of := &d.Spec.Versions[i]
		v, err := newVersion(d, of, d.Spec.Scope == apiextensionsv1.NamespaceScoped)
		if err != nil {
			return nil, fmt.Errorf("version %s: %w", of.Name, err)
		}
		all = append(all, v)
	}
	slices.SortStableFunc(all, func(a, b *version) int { // the stored one first, then as discovery has them, then those that are not served
		return cmp.Or(boolOrder(b.storage, a.storage), boolOrder(a.NotServed, b.NotServed), kversion.CompareKubeAwareVersionStrings(b.Version.Version, a.Version.Version))
	})
	convert, err := conversionOf(d, all, post)
	if err != nil {
		return nil, err
	}
	kinds := make([]*schema.Kind, len(all))
	for i, v := range all {
		kinds[i] = kindIn(d, v)
		kinds[i].Convert = convert
		kinds[i].AsWritten = asksWebhook(d)
	}
	for _, k := range kinds {
		for _, other := range kinds {
			if other != k {
				k.Versions = append(k.Versions, &other.Version)
			}
		}
	}
	kinds[0].Rules = kinds[1:]
	return kinds[0], nil
}

// kindIn is the kind of a definition by the rules of a version.
func kindIn(d *definition, v *version) *schema.Kind {
	names := d.Status.AcceptedNames
	k := &schema.Kind{
		Version: v.Version,
		Plural:  names.Plural, Singular: names.Singular, ShortNames: names.ShortNames, Categories: names.Categories,
		Namespaced: v.namespaced, Prefix: d.Spec.Group + "/" + names.Plural,
		ValidateName: apivalidation.NameIsDNSSubdomain, AnyFinalizers: true, Warnings: schema.Warnings(warnings),
		UpdateMeta:   schema.MetaOfNone, // the rules check it
		Subresources: v.subresources(),
		Validate:     schema.Validation(v.validate), ValidateUpdate: schema.UpdateValidation(v.validateUpdate),
	}
	if apiextensions.HasCondition(d, apiextensionsv1.Terminating) {
		k.RefuseCreate = "create not allowed while custom resource definition is terminating"
	}
	k.PrepareUnstructured()
	if prepare := k.PrepareCreate; v.status && v.defaultsStatus() {
		k.PrepareCreate = func(obj schema.Object) { // Kubernetes sets it when it reads the new object
			prepare(obj)
			k.Default(obj)
		}
	}
	return k
}

func asksWebhook(d *definition) bool {
	return d.Spec.Conversion != nil && d.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter && len(d.Spec.Versions) > 1
}

// conversionOf is the conversion between the versions of a definition. What a version does not know is removed from the objects that become
// its.
func conversionOf(d *definition, all []*version, post Post) (func(context.Context, []schema.Object, *schema.Version) ([]schema.Object, error), error) {
	convert := rename
	if asksWebhook(d) {
		if d.Spec.Conversion.Webhook == nil || d.Spec.Conversion.Webhook.ClientConfig == nil {
			return nil, errors.New("the conversion names no webhook")
		}
		if post == nil {
			post = func(context.Context, *apiextensionsv1.WebhookClientConfig, []byte) ([]byte, error) {
				return nil, errors.New("this process calls no webhooks")
			}
		}
		convert = webhook{d.Spec.Conversion.Webhook.DeepCopy(), post}.convert
	}
	return func(ctx context.Context, objs []schema.Object, to *schema.Version) ([]schema.Object, error) {
		out, err := convert(ctx, objs, to)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(all, func(v *version) bool { return v.Version.Version == to.Version })
		for _, obj := range out {
			_, _ = all[at].prune(obj) // what cannot be pruned was refused when it was written
		}
		return out, nil
	}, nil
}

// rename is the conversion between versions with the same fields.
func rename(_ context.Context, objs []schema.Object, to *schema.Version) ([]schema.Object, error) {
	out := make([]schema.Object, len(objs))
	for i, obj := range objs {
		out[i] = obj.(*unstructured.Unstructured).DeepCopy()
		to.SetTypeMeta(out[i])
	}
	return out, nil
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// version is a version of a custom kind.
type version struct {
	schema.Version
	storage    bool
	namespaced bool
	status     bool // it has the subresource
	scale      *apiextensionsv1.CustomResourceSubresourceScale
	source     source // of what objects are checked by
}

func newVersion(d *definition, of *definitionVersion, namespaced bool) (*version, error) {
	names := d.Status.AcceptedNames
	v := &version{storage: of.Storage, namespaced: namespaced, source: source{preserveUnknown: d.Spec.PreserveUnknownFields}}
	v.Version = schema.Version{
		Group: d.Spec.Group, Version: of.Name, Kind: names.Kind, List: names.ListKind,
		New: schema.NewUnstructured, NewList: schema.NewUnstructuredList,
		UnknownField: "field label not supported: %s", NotServed: !of.Served,
	}
	if of.Subresources != nil {
		v.status, v.scale = of.Subresources.Status != nil, of.Subresources.Scale.DeepCopy()
	}
	if of.Schema != nil && of.Schema.OpenAPIV3Schema != nil {
		props, err := structural.PropsOf(of.Schema.OpenAPIV3Schema)
		if err != nil {
			return nil, err
		}
		if _, err := structuralOf(props, v.source.preserveUnknown); err != nil {
			return nil, err
		}
		text, err := json.Marshal(of.Schema.OpenAPIV3Schema)
		if err != nil {
			return nil, fmt.Errorf("encoding the schema: %w", err)
		}
		v.Structure = schema.NewStructure(text)
		v.source.structure, v.source.size = v.Structure, sizeOf(text)
	}
	if of.Deprecated {
		v.DeprecationWarning = deprecationWarning(d, of)
	}
	v.Default = schema.Preparation(v.setDefaults)
	v.Prune = v.prune
	var err error
	if v.Columns, v.Row, err = columns(of.AdditionalPrinterColumns); err != nil {
		return nil, err
	}
	v.Fields, err = fields(of.SelectableFields)
	return v, err
}

// deprecationWarning is the definition's own text, or names the highest version that is not deprecated and later than this.
func deprecationWarning(d *definition, of *definitionVersion) string {
	if of.DeprecationWarning != nil {
		return *of.DeprecationWarning
	}
	text := fmt.Sprintf("%s/%s %s is deprecated", d.Spec.Group, of.Name, d.Spec.Names.Kind)
	best := ""
	for _, v := range d.Spec.Versions {
		later := kversion.CompareKubeAwareVersionStrings(v.Name, of.Name) > 0
		if v.Served && !v.Deprecated && later && (best == "" || kversion.CompareKubeAwareVersionStrings(v.Name, best) > 0) {
			best = v.Name
		}
	}
	if best != "" {
		text += fmt.Sprintf("; use %s/%s %s", d.Spec.Group, best, d.Spec.Names.Kind)
	}
	return text
}

// subresources are the rows of the subresources of the version.
func (v *version) subresources() (rows []schema.Subresource) {
	if v.status {
		rows = append(rows, schema.UnstructuredStatus(v.validateStatus))
	}
	if s := v.scale; s != nil {
		selector := ""
		if s.LabelSelectorPath != nil {
			selector = *s.LabelSelectorPath
		}
		rows = append(rows, schema.ScaleAt(s.SpecReplicasPath, s.StatusReplicasPath, selector))
	}
	return rows
}
