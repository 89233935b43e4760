package plugins

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/ptr"

	"gantry/registry/admit"
	"gantry/schema"
)

// ownerReferencesPermissionEnforcement refuses owners of objects that the user may not delete, and references that keep an owner from being
// deleted whose finalizers the user may not set.
func ownerReferencesPermissionEnforcement() admit.Rule {
	return admit.Rule{
		Name: "OwnerReferencesPermissionEnforcement", Doc: "who may delete an object sets its owners, who may set an owner's finalizers blocks its deletion",
		Wants: wantsOwners, Validate: checkOwners,
	}
}

// wantsOwners: all but the status of pods, which cannot change owners.
func wantsOwners(o admit.Operation, k *schema.Kind, subresource string) bool {
	return (o == admit.Create || o == admit.Update) && !(k.Group == "" && k.Plural == "pods" && subresource == "status")
}

func checkOwners(ctx context.Context, read admit.Reader, q *admit.Request) error {
	var before []metav1.OwnerReference
	if q.Old != nil {
		before = q.Old.GetOwnerReferences()
	}
	owners := q.Object.GetOwnerReferences()
	if len(owners) == len(before) && (len(owners) == 0 || equality.Semantic.DeepEqual(owners, before)) {
		return nil
	}
	may := func(a authorizer.AttributesRecord) (bool, string) {
		a.User, a.ResourceRequest = userOf(q), true
		d, reason, err := q.Authorizer.Authorize(ctx, a)
		return d == authorizer.DecisionAllow, fmt.Sprintf("%v, %v", reason, err)
	}
	if q.Operation != admit.Create {
		if ok, why := may(authorizer.AttributesRecord{
			Verb: "delete", Namespace: q.Namespace, APIGroup: q.Version.Group, APIVersion: q.Version.Version, Resource: q.Kind.Plural,
			Subresource: q.Subresource, Name: q.Name,
		}); !ok {
			return &admit.Denied{Reason: "cannot set an ownerRef on a resource you can't delete: " + why}
		}
	}
	blocking := newBlocking(owners, before)
	if len(blocking) == 0 {
		return nil
	}
	if ok, _ := may(authorizer.AttributesRecord{Verb: "update", APIGroup: "*", APIVersion: "*", Resource: "*", Subresource: "finalizers", Name: "*"}); ok {
		return nil
	}
	for _, ref := range blocking {
		k := read.KindOf(ref.APIVersion, ref.Kind)
		if k == nil {
			return &admit.Denied{Reason: fmt.Sprintf("cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion %s Kind %s: no matches for kind %q in version %q", ref.APIVersion, ref.Kind, ref.Kind, ref.APIVersion)}
		}
		a := authorizer.AttributesRecord{Verb: "update", APIGroup: k.Group, APIVersion: k.Version.Version, Resource: k.Plural, Subresource: "finalizers", Name: ref.Name}
		if k.Namespaced {
			a.Namespace = q.Namespace
		}
		if ok, why := may(a); !ok {
			return &admit.Denied{Reason: "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: " + why}
		}
	}
	return nil
}

// newBlocking are the references that block the deletion of an owner and did not before.
func newBlocking(owners, before []metav1.OwnerReference) (out []metav1.OwnerReference) {
	blocked := map[string]bool{}
	for i := range before {
		blocked[string(before[i].UID)] = ptr.Deref(before[i].BlockOwnerDeletion, false)
	}
	for i := range owners {
		if ptr.Deref(owners[i].BlockOwnerDeletion, false) && !blocked[string(owners[i].UID)] {
			out = append(out, owners[i])
		}
	}
	return out
}

func userOf(q *admit.Request) user.Info {
	who := &user.DefaultInfo{Name: q.User.Username, UID: q.User.UID, Groups: q.User.Groups, Extra: map[string][]string{}}
	for k, v := range q.User.Extra {
		who.Extra[k] = v
	}
	return who
}
