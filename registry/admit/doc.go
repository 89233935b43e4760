// Package admit is admission: rules on what an object may not be, or is given, because of who writes it and of what else there is.
// The registry calls them in every write of every process: no write bypasses them.
//
// # Phases
//
// As in Kubernetes, a write goes through: defaults, the rules' Mutate, preparation and validation by the object's kind, the rules'
// Validate, the transaction. Mutate may change the object, which is validated afterwards; Validate sees the object as it is stored
// and changes nothing. The rules of a phase run in order, and the first error ends the write.
//
// The rules are called for
//
//   - CREATE, UPDATE and DELETE of objects, one by one, also where a collection is deleted; a patch is an UPDATE;
//   - writes of subresources: the object is a Binding, an Eviction, a TokenRequest or a Scale for those, the object itself for status,
//     resize and finalize;
//   - CONNECT: exec, attach, portforward. What Mutate changes there is ignored;
//   - dry runs, which a rule with effects outside the transaction must look at (Request.DryRun).
//
// They are not called for reads, nor by the registry of a node, which writes its heartbeat alone.
//
// # Rules
//
// A rule is a row of BuiltIn, or of package plugins where Kubernetes has it off by default, and a file of its own, both with the name that
// Kubernetes gives the plug-in. Package plugins selects the rules of a process. A rule is a function of the request and of what it reads through the Reader: it keeps no state of requests, keeps neither the Request nor the Reader after it has returned,
// and does not panic whatever the objects hold. It may be called several times for one write, as a write starts again after a conflict.
// Wants spares a write all cost of the rules that do not concern it, Within that of rules for namespaces that have some object.
//
// A rule refuses with Denied (403), Missing (404), Invalid (422), TooMany (429), Misconfigured (500) or Rejected (the Status it holds); any other error says that it could not decide.
// Request.Warn and Request.Annotate add warnings for the client and annotations for the audit.
//
// # Companions
//
// What a rule decides on may change before the object is stored. Request.Hold makes the transaction depend on an object that was found,
// Request.Expect on a key of the rule's own, below /gantry/admission/<rule>/, which Request.Put and Request.Remove change in the object's
// transaction (the count of a quota, say). Where one of these has changed, nothing is stored and the rule that added it is
// called again, in the same phase, on the current state; what it added before is dropped. It must not change the object then, which
// has been validated. After a bounded number of times the write is refused (429).
//
// Request.PutObject changes an object of another kind, as an eviction does with the pod's disruption budget: two objects of one kind must not
// change in one transaction. Other companions are no API objects. A write that changes nothing, and
// a dry run, have no transaction. Not every deletion is a DELETE: a rule that counts objects checks Request.Removes. A full etcd
// takes deletions only: then an object is removed and the rules' keys stay as they are.
package admit
