// Package registry is the API server as a library: every process that reads or writes /registry goes
// through it, the gateway and the agents alike. It speaks etcd and knows no HTTP. DESIGN.md says why it is as it is.
//
// # Packages
//
//	store        etcd and the fake behind one contract; keys, bytes, revisions
//	embedded     the etcd inside of this process: start, upkeep, backup, restore
//	admit        the rules of admission
//	allocate     claims on cluster IPs and node ports
//	bynode       the copies of pods by node
//	election     leaders, and the fence of their writes
//	history      who changed a key, when, and what it was before
//	quarantine   values that cannot be read
//	objectmeta   the metadata that the server sets
//	outcome      whether a write was made whose answer is lost
//	selector     selectors of lists and watches
//	index        a cache's state: in order, and by label, field, owner
//	deflate      lists deflated in blocks
//	writequeue   the order of a process' writers of one key
//	mutation     detects, in tests, changes of shared objects
//	etcdlog      etcd's log in the process' format
//	apitest      the suite of API, and the tests of what only a Registry has
//	registrytest a registry for tests
//
// This package has the write path, the caches and the watches, which share one item.
//
// # Keys and revisions
//
// /registry is Kubernetes' layout (schema.Kind.Prefix), /gantry is Gantry's own. Values are compact JSON without
// metadata.resourceVersion: an object's resourceVersion is its key's mod_revision, a list's is the revision of the store it was read
// at. One object of a type changes per transaction, so revisions are unique within a type and a watch can resume after any of them.
//
// # Reads
//
// A cache per kind holds the final bytes of every object. A read hands them out: nothing is decoded or encoded for
// a GET, a LIST or a watch event. Cached items and the objects decoded from them are shared and read-only.
//
// # Writes
//
// default -> admit: mutate -> prepare -> validate -> admit: validate -> encode -> one transaction that compares the revision of what it
// replaces. There is no other write path; WithUser says who writes. What must be done for one kind alone is in that kind's hooks (hooks.go): companions, which are keys of other
// types in the object's transaction, what objects have in this cluster, and special deletions.
//
//	/gantry/bynode/<node>/pods/<ns>/<name>   the pod's value, for its node to watch; RepairByNode
//	/gantry/vanished-pods                    which pods were deleted past the API and are held; see bynode.Hold
//	/gantry/bynode/<node>/persistentvolumes/<name>   a local volume's value, for its node to watch
//	/registry/ipaddresses/<ip>               an IPAddress that claims a Service's cluster IP; RepairClaims
//	/gantry/nodeports/<port>                 a Service's claim on a node port; RepairClaims
//	/gantry/admission/<rule>/...             what a rule of admission keeps, such as a quota's count; see package admit
//	/gantry/deleted                          who deleted the object, where it is deleted; see package history
//
// A write whose answer is late or lost is read back. Where it is not found, the error is Timeout or Unavailable with UnknownOutcome,
// never a success.
//
// # Watches
//
// Ordered by revision, unique, reliable (nothing between two events is missed), atomic, resumable from any
// revision not yet compacted, bookmarkable. A slow reader never blocks the source: it lags behind, then is
// ended with Expired. DELETED carries the last state under the deletion's revision. An object that leaves a selector is DELETED
// for that watcher, one that enters it is ADDED. Follow is for agents, which need the current state and not the states between.
//
// # Kinds
//
// The kinds that are served may change (schema.Kinds). Their caches start and end with them; a kind that is not served is NotFound.
//
// # Errors
//
// Errors are *Error; test their kind with errors.Is(err, registry.NotFound). A value that cannot be read is Unreadable, not NotFound.
package registry
