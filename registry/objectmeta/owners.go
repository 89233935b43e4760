package objectmeta

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

// DropRepeatedOwners removes owner references that obj has before already, and returns the warning about them; "": there are none. The
// text says whether mutating admission has run.
func DropRepeatedOwners(obj schema.Object, admitted bool) (warning string) {
	refs := obj.GetOwnerReferences()
	if len(refs) < 2 {
		return ""
	}
	seen := make(map[owner]bool, len(refs))
	var kept []metav1.OwnerReference
	var uids []string
	for _, ref := range refs {
		o := ownerOf(ref)
		if seen[o] {
			uids = append(uids, string(ref.UID))
			continue
		}
		seen[o] = true
		kept = append(kept, ref)
	}
	if len(uids) == 0 {
		return ""
	}
	obj.SetOwnerReferences(kept)
	when := ""
	if admitted {
		when = " after mutating admission happens"
	}
	return fmt.Sprintf(".metadata.ownerReferences contains duplicate entries%s; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: %s",
		when, strings.Join(uids, ", "))
}

// owner is an owner reference that compares by value.
type owner struct {
	ref                                   metav1.OwnerReference
	controller, controls, blocks, blocked bool
}

func ownerOf(ref metav1.OwnerReference) owner {
	o := owner{ref: ref}
	if c := ref.Controller; c != nil {
		o.controls, o.controller = true, *c
	}
	if b := ref.BlockOwnerDeletion; b != nil {
		o.blocks, o.blocked = true, *b
	}
	o.ref.Controller, o.ref.BlockOwnerDeletion = nil, nil
	return o
}
