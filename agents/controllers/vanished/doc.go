// Package vanished keeps pods whose keys were deleted in etcd past the API for the controllers, as they were, until it is decided what becomes of
// them: they are put back, or given up (bynode.Hold). Meanwhile a controller finds such a pod in every list, and is not told that it is
// deleted. So nobody replaces it, no address is taken out of a service, and what it owns stays, while its containers run.
//
// A pod is kept from the moment the cache loses it, before a reader can miss it, as long as it may have a copy by node. The API deletes a
// pod's copy in the transaction of the pod; so a deletion through the API ends with the next event of the watch of copies, milliseconds
// later, and a raw one does not.
package vanished
