// Package certificates has the kinds of certificates.k8s.io: certificate signing requests.
package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema"
)

type (
	request   = certificatesv1.CertificateSigningRequest
	condition = certificatesv1.CertificateSigningRequestCondition
)

// CertificateSigningRequest is the kind of requests for certificates. Who requests is set by the registry.
var CertificateSigningRequest = &schema.Kind{
	Version: schema.Version{
		Group: certificatesv1.GroupName, Version: "v1", Kind: "CertificateSigningRequest",
		New:     func() schema.Object { return &request{} },
		NewList: func() runtime.Object { return &certificatesv1.CertificateSigningRequestList{} },
		Columns: csrColumns, Row: csrRow,
		Fields: []schema.Field{schema.FieldOf("spec.signerName", func(r *request) string { return r.Spec.SignerName })},
	},
	Plural: "certificatesigningrequests", Singular: "certificatesigningrequest", ShortNames: []string{"csr"},
	Resets:     []string{"spec"},
	UpdateMeta: schema.MetaOfCreateFirst,
	Prefix:     "certificatesigningrequests",

	Subresources: []schema.Subresource{
		schema.Part("approval", prepareApproval, validateApproval).Resetting("spec", "status.certificate"),
		schema.Status(prepareStatus, validateStatus).Resetting("status.conditions"),
	},
	UnconditionalUpdate: true,

	PrepareCreate:  schema.Preparation(prepareCreate),
	PrepareUpdate:  schema.UpdatePreparation(prepareUpdate),
	Bound:          schema.Validation(boundConditions),
	Validate:       schema.Validation(validateCreate),
	ValidateUpdate: schema.UpdateValidation(validateUpdate),
}

// prepareCreate leaves nothing of what the server sets.
func prepareCreate(r *request) {
	r.Spec.Username, r.Spec.UID, r.Spec.Groups, r.Spec.Extra = "", "", nil, nil
	r.Status = certificatesv1.CertificateSigningRequestStatus{}
}

func prepareUpdate(r, old *request) {
	r.Spec = old.Spec
	r.Status = old.Status
}

// prepareApproval takes the conditions and nothing else.
func prepareApproval(r, old *request) {
	setTimes(r.Status.Conditions, old.Status.Conditions)
	conditions := r.Status.Conditions
	prepareUpdate(r, old)
	r.Status.Conditions = conditions
}

// prepareStatus takes the status, but leaves the conditions that approve or deny as they were, unless there are more or fewer of them,
// which is an error later.
func prepareStatus(r, old *request) {
	r.Spec = old.Spec
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		were := conditionsOf(old, t)
		if len(were) != len(conditionsOf(r, t)) {
			continue
		}
		for i := range r.Status.Conditions {
			if c := &r.Status.Conditions[i]; c.Type == t {
				*c, were = were[0], were[1:]
			}
		}
	}
	setTimes(r.Status.Conditions, old.Status.Conditions)
}

// conditionsOf are the conditions of a type.
func conditionsOf(r *request, t certificatesv1.RequestConditionType) (list []condition) {
	for _, c := range r.Status.Conditions {
		if c.Type == t {
			list = append(list, c)
		}
	}
	return list
}

// setTimes gives conditions without times theirs: now, or for an old condition of the same status the time since when it has it.
func setTimes(conditions, old []condition) {
	type key struct{ kind, status string }
	of := func(c *condition) key { return key{string(c.Type), string(c.Status)} }
	since, now := map[key]metav1.Time{}, metav1.Now()
	for i := range old {
		if _, there := since[of(&old[i])]; !there && !old[i].LastTransitionTime.IsZero() {
			since[of(&old[i])] = old[i].LastTransitionTime
		}
	}
	for i := range conditions {
		c := &conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		if t, there := since[of(c)]; there {
			c.LastTransitionTime = t
		}
	}
}

// maxConditions is how many conditions a request may have.
const maxConditions = 1000

func boundConditions(r *request) (errs field.ErrorList) {
	if n := len(r.Status.Conditions); n > maxConditions {
		errs = append(errs, field.TooMany(field.NewPath("status", "conditions"), n, maxConditions))
	}
	return errs
}
