// Package apply is server-side apply: it merges what a client applies into an object and keeps metadata.managedFields, which says who set
// which field. The rules are those of k8s.io/apimachinery/pkg/util/managedfields, which does the work; this package gives it the
// types, the conversions and the subresources of a schema.Kind.
//
// Fields are recorded from the first apply of an object on: what it had before becomes the entry before-first-apply. An object that nobody
// applies has no entries, and its writes cost nothing here.
//
// Entries come from clients and from etcd, and are hostile: those that cannot be read are left out, and their number and depth are bounded.
package apply
