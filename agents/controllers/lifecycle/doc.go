// Package lifecycle has the controllers of how objects begin and end: namespaces and what every namespace has, the garbage collector,
// the ends of pods and events, nodes without heartbeat and the pods on them, tokens of service accounts, storage that is used, and the
// copies of pods that nodes read.
//
// Only a consistent read counts as evidence that something does not exist: the cache may be behind, and a kind that is not served says
// nothing about its objects. Many objects that vanish at once are taken for a mistake, which waits for an admin.
package lifecycle
