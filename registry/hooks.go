package registry

import (
	"context"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/objectmeta"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/apiextensions"
)

// hooks are what the registry does for the objects of one kind and needs the store or the cluster for; everything else about a kind is in
// its schema.Kind. The zero value does nothing.
type hooks struct {
	// nodeRange is the prefix of the keys from which a node's registry reads the kind; nil: the kind's own.
	nodeRange func(node string) string
	// copies is how often an object's value is in its transaction, which bounds the object's size; 0 is once.
	copies int
	// companions are the keys of other types that a write changes in its object's transaction; nil: none.
	companions func(ctx context.Context, r *Registry, u *guardedUpdate) (companions, error)
	// setCreator sets the fields of a new object that say who creates it; after its kind's PrepareCreate.
	setCreator func(obj schema.Object, user *authenticationv1.UserInfo)
	// complete sets the fields that depend on this cluster, and returns errors for what the cluster cannot give. It runs after admission and
	// before validation.
	complete func(r *Registry, obj, old schema.Object) field.ErrorList
	// subresources are those that an update may name besides the parts of the object that its kind has (schema.Subresource).
	subresources map[string]part
	// deletion decides what a deletion makes of an object, where finalizers and the kind's grace period are not all; see planDelete.
	deletion func(obj schema.Object, o DeleteOptions, now time.Time) deletionPlan
	// evicted marks an object as evicted and returns whether that changes it; nil: the kind's objects are not.
	evicted func(obj schema.Object, now time.Time) bool
	// refuseDelete returns the text of the conflict with a deletion's preconditions, where it is not the common one; "": there is none.
	refuseDelete func(it *Item, o DeleteOptions) string
	// keeps tells whether an object that is being deleted stays for another reason than finalizers and the grace period.
	keeps func(obj schema.Object) bool
	// recreate removes from an earlier state what an object created from it may not have.
	recreate func(obj schema.Object)
}

// companions are the keys of other types that one write of an object changes in its transaction.
type companions interface {
	// fill decides which they are, and may change the object by that. It is called again before the transaction is repeated.
	fill(ctx context.Context) error
	// add puts them into the transaction. value is the object's, as it is stored.
	add(t *store.Txn, value []byte) error
	// onConflict is called after a transaction that did not run although the object was as expected; current is the state of the compared keys.
	onConflict(current map[string]*store.KV)
}

// kindHooks are the kinds that need hooks, each in a file of its own.
var kindHooks = map[kschema.GroupResource]*hooks{
	{Resource: "pods"}:              &podHooks,
	{Resource: "persistentvolumes"}: &volumeHooks,
	{Resource: "services"}:          &serviceHooks,
	{Resource: "namespaces"}:        &namespaceHooks,
	{Resource: "events"}:            &eventHooks,

	{Group: "certificates.k8s.io", Resource: "certificatesigningrequests"}: &csrHooks,
	{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}: &definitionHooks,
}

// definitionHooks: the definition of a custom kind stays until its objects are removed.
var definitionHooks = hooks{
	deletion: func(obj schema.Object, o DeleteOptions, now time.Time) deletionPlan {
		d := obj.(*apiextensionsv1.CustomResourceDefinition)
		if d.DeletionTimestamp != nil {
			return planWithFinalizers(d, o, now)
		}
		at := objectmeta.Time(now)
		d.SetDeletionTimestamp(&at) // without a grace period, as Kubernetes does
		apiextensions.BeginDeletion(d, now)
		return marked
	},
}

// csrHooks: a request for a certificate says who made it.
var csrHooks = hooks{
	setCreator: func(obj schema.Object, user *authenticationv1.UserInfo) {
		spec := &obj.(*certificatesv1.CertificateSigningRequest).Spec
		spec.Username, spec.UID, spec.Groups = user.Username, user.UID, append([]string(nil), user.Groups...)
		for key, values := range user.Extra {
			if spec.Extra == nil {
				spec.Extra = map[string]certificatesv1.ExtraValue{}
			}
			spec.Extra[key] = append(certificatesv1.ExtraValue(nil), values...)
		}
	},
}

// eventHooks: nothing depends on an event, so its deletion does not wait for dependents or orphan them.
var eventHooks = hooks{
	deletion: func(obj schema.Object, o DeleteOptions, now time.Time) deletionPlan {
		o.Propagation = ""
		return planWithFinalizers(obj, o, now)
	},
}

var noHooks hooks

// hooksOf are the hooks of a kind.
func (r *Registry) hooksOf(k *schema.Kind) *hooks {
	if h := r.hooks[kschema.GroupResource{Group: k.Group, Resource: k.Plural}]; h != nil {
		return h
	}
	return &noHooks
}
