// Package request reads the head of a request: which object or collection it is about (Info), what its parameters ask for,
// and the form of the answer (Shape).
//
// Info is the one reading of path, method and query: permission is asked for it, the handler is chosen by it and acts on it.
// Nothing here reads a body, writes an answer or decides whether something is permitted. Errors are
// *apierrors.StatusError, worded as Kubernetes does.
package request
