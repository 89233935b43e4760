// Package customresource makes of a CustomResourceDefinition the kind that it defines. Structural schemas, pruning, defaulting and validation are
// those of k8s.io/apiextensions-apiserver.
package customresource

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kversion "k8s.io/apimachinery/pkg/version"

	"gantry/schema"
	"gantry/schema/apiextensions"
)

type (
	definition        = apiextensionsv1.CustomResourceDefinition
	definitionVersion = apiextensionsv1.CustomResourceDefinitionVersion
)

// Served tells whether the objects of a definition are served: its names have been accepted, or were once.
func Served(d *definition) bool {
	return apiextensions.HasCondition(d, apiextensionsv1.NamesAccepted) || apiextensions.HasCondition(d, apiextensionsv1.Established)
}

// Kind is the kind that a definition defines, by the names that were accepted. The subresources are those of the version that objects are
// stored in. The error says why there is no such kind: then the definition was not validated. d is not kept.
func Kind(d *definition) (*schema.Kind, error) {
	names := d.Status.AcceptedNames
	if names.Plural == "" || names.Singular == "" || names.Kind == "" || names.ListKind == "" {
		return nil, errors.New("no names have been accepted")
	}
	if d.Spec.Group == "" || strings.Contains(d.Spec.Group+names.Plural, "/") {
		return nil, fmt.Errorf("%q of group %q is no name of a resource", names.Plural, d.Spec.Group)
	}
	k := &schema.Kind{
		Plural: names.Plural, Singular: names.Singular, ShortNames: names.ShortNames, Categories: names.Categories,
		Namespaced: d.Spec.Scope == apiextensionsv1.NamespaceScoped, Prefix: d.Spec.Group + "/" + names.Plural,
		ValidateName: apivalidation.NameIsDNSSubdomain, AnyFinalizers: true, Warnings: schema.Warnings(warnings),
		UpdateMeta: schema.MetaOfNone, // the rules check it
	}
	if apiextensions.HasCondition(d, apiextensionsv1.Terminating) {
		k.RefuseCreate = "create not allowed while custom resource definition is terminating"
	}
	var all []*version
	stored := slices.IndexFunc(d.Spec.Versions, func(v definitionVersion) bool { return v.Storage })
	if stored < 0 {
		return nil, errors.New("no version is marked as storage version")
	}
	for i := range d.Spec.Versions {
		if of := &d.Spec.Versions[i]; of.Served || of.Storage {
			v, err := newVersion(d, of, k.Namespaced)
			if err != nil {
				return nil, fmt.Errorf("version %s: %w", of.Name, err)
			}
			all = append(all, v)
		}
	}
	slices.SortStableFunc(all, func(a, b *version) int { // the stored one first, then as discovery has them
		return cmp.Or(boolOrder(b.storage, a.storage), kversion.CompareKubeAwareVersionStrings(b.Version.Version, a.Version.Version))
	})
	k.Version = all[0].Version
	k.NotServed = !d.Spec.Versions[stored].Served
	for _, v := range all[1:] {
		if d.Spec.Conversion != nil && d.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter {
			return nil, errors.New("conversion by webhooks is not supported yet")
		}
		v.convertTo(all[0])
		k.Versions = append(k.Versions, &v.Version)
	}
	k.Subresources = all[0].subresources(d.Spec.Versions[stored].Subresources)
	k.Validate = schema.Validation(all[0].validate)
	k.ValidateUpdate = schema.UpdateValidation(all[0].validateUpdate)
	k.PrepareUnstructured()
	return k, nil
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
	scale      *apiextensionsv1.CustomResourceSubresourceScale
	source     source // of what objects are checked by
}

func newVersion(d *definition, of *definitionVersion, namespaced bool) (*version, error) {
	names := d.Status.AcceptedNames
	v := &version{storage: of.Storage, namespaced: namespaced, source: source{preserveUnknown: d.Spec.PreserveUnknownFields}}
	v.Version = schema.Version{
		Group: d.Spec.Group, Version: of.Name, Kind: names.Kind, List: names.ListKind,
		New: schema.NewUnstructured, NewList: schema.NewUnstructuredList,
		UnknownField: "field label not supported: %s",
	}
	if of.Subresources != nil {
		v.scale = of.Subresources.Scale
	}
	if of.Schema != nil && of.Schema.OpenAPIV3Schema != nil {
		text, err := json.Marshal(of.Schema.OpenAPIV3Schema)
		if err != nil {
			return nil, fmt.Errorf("encoding the schema: %w", err)
		}
		v.source.json, v.Structure = text, text
	}
	if _, err := v.source.compiled(); err != nil {
		return nil, err
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

// subresources are the rows of the subresources of the kind.
func (v *version) subresources(of *apiextensionsv1.CustomResourceSubresources) (rows []schema.Subresource) {
	if of == nil {
		return nil
	}
	if of.Status != nil {
		rows = append(rows, schema.UnstructuredStatus(v.validateStatus))
	}
	if s := of.Scale; s != nil {
		selector := ""
		if s.LabelSelectorPath != nil {
			selector = *s.LabelSelectorPath
		}
		rows = append(rows, schema.ScaleAt(s.SpecReplicasPath, s.StatusReplicasPath, selector))
	}
	return rows
}

// convertTo gives v the conversions of a version whose fields are those of the stored version: only what the other version does not know is
// removed.
func (v *version) convertTo(stored *version) {
	v.ToStored, v.FromStored = pruneTo(stored), pruneTo(v)
	v.ValidateAs = func(obj, old schema.Object) field.ErrorList {
		if old == nil {
			return v.validate(obj.(*unstructured.Unstructured))
		}
		return v.validateUpdate(obj.(*unstructured.Unstructured), old.(*unstructured.Unstructured))
	}
}

func pruneTo(v *version) schema.Conversion {
	return schema.EachTo(func(u *unstructured.Unstructured) *unstructured.Unstructured {
		out := u.DeepCopy()
		_, _ = v.prune(out) // what cannot be pruned was refused when it was written
		return out
	})
}
