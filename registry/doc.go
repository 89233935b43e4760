// Package registry is the API server as a library: every process that reads or writes /registry goes
// through it, the gateway and the agents alike. It speaks etcd and knows no HTTP.
//
// # Keys and revisions
//
// /registry is Kubernetes' layout (schema.Kind.Prefix), /gantry is Gantry's own (keys.go). Values are compact JSON
// without metadata.resourceVersion: an object's resourceVersion is its key's mod_revision, a list's is the
// revision of the store it was read at. One object of a type changes per transaction, so revisions are
// unique within a type and a watch can resume after any of them; keys of other types (the by-node copy of a
// pod, the address of a service) ride in the object's transaction.
//
// # Reads
//
// A cache per kind holds the final bytes of every object. A read hands them out: nothing is decoded or encoded for
// a GET, a LIST or a watch event. Cached items and the objects decoded from them are shared and read-only; a
// decoded object is kept no longer than until the next garbage collection, as it takes several times the memory of its JSON.
//
// # Writes
//
// default -> prepare -> admit -> validate -> encode -> compare-and-swap. There is no other write path. Admission comes
// before validation, as in Kubernetes, so that what it fills in is validated too; see package admit. What a rule's decision
// stands on (the namespace of a new object) is compared in the object's transaction.
//
// # Companions
//
// Keys of other types that are written with their object, in its transaction:
//
//	/gantry/bynode/<node>/pods/<ns>/<name>   the pod's value, for its node to watch; RepairByNode
//	/registry/ipaddresses/<ip>               an IPAddress that claims a Service's cluster IP; RepairClaims
//	/gantry/deleted                          who deleted the object, where it is deleted; see stamp.go
//	/gantry/nodeports/<port>                 {"kind":"NodePort","namespace":...,"name":...}, a Service's claim
//
// # History
//
// A value in etcd ends in who wrote it, when, and which revision it replaced (Stamp); it is taken off before the
// value is served. History, Oldest, PutBack, Backup and Restore are what admins' commands are made of.
//
// # Unknown outcomes
//
// A write whose answer is late or lost is looked up: its stamp is nobody else's, so what is found is a success. What is
// not found may still come, or have been replaced: it is Timeout or Unavailable with UnknownOutcome, never a success.
//
// # Watches
//
// Ordered by revision, unique, reliable (nothing between two events is missed), atomic, resumable from any
// revision not yet compacted, bookmarkable. A slow reader never blocks the source: it lags behind, then is
// ended with Expired. What is older than a cache's ring is read from etcd once, for all who resume there (backfill.go).
// DELETED carries the last state under the deletion's revision. An object that leaves a selector is DELETED for that
// watcher, one that enters it is ADDED.
//
// Follow is for agents, which want to know what is and not what was: one that is slow is told the difference. Nothing is
// kept for it but that.
//
// # Trust
//
// A value in etcd is hostile input: what cannot be decoded, does not match its key, has a uid that is no UUID, or holds what
// could not be written again (a time out of RFC 3339's years, a quantity out of range) is skipped and put
// under quarantine (/gantry/quarantine/<key>), never handed out, and stops nothing.
//
// The write path is held to the same: what it accepts is read by every process as it was answered, else it is Invalid. UIDs are the
// server's: none is taken from an object that is written, also not where it replaces a value under quarantine.
//
// Nothing is served in its place: watchers see its last good state DELETED, a Get is Unreadable (not NotFound: nobody
// may take what belongs to it for orphaned). The record is removed when the value is put right or deleted.
//
// # Leaders and versions
//
// A leader's every write (Lead) compares its election key's create revision, every write of every process compares
// /gantry/version: who is deposed or too old writes nothing, from that very revision on.
//
// Errors are *Error; test their kind with errors.Is(err, registry.NotFound).
package registry
