// Package quota is what ResourceQuotas count: which resources of a quota an object uses, how much of them, and the counter in which that is
// added up. It is pure: the admission rule ResourceQuota changes counters in the transactions of objects, the controller
// resourcequota makes and mends them.
//
// # Counters
//
// The usage below a quota is in a key of its own, /gantry/admission/ResourceQuota/<namespace>/<name>, because two quotas that count one object
// could not change in one transaction. The quota's status.used is a copy of it, written by the controller. A counter belongs to the quota
// with its UID; with another one, or without a quota, it means nothing.
//
// A resource is limited once it is in Used. A new quota, or a new resource of one, is in Counting first: from that revision on every write
// records there what it adds, and the controller adds to that what there was at that revision. So nothing is counted twice or missed, whatever
// is written meanwhile.
package quota
