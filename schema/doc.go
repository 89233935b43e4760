// Package schema says what an object is. It is pure: no I/O, no clock, no etcd, no HTTP.
//
// A Kind is a value that describes one type of object: its names, its place in etcd, its defaults, what a client may not set, its
// validation, its table. The packages
// below it (core, apps, discovery, coordination) hold one Kind a file over the types of k8s.io/api;
// package kinds is the table of them all. Packages patch and openapi need no other object
// either.
//
// The functions of a Kind never read the clock, another object or the network, and they never panic whatever the object holds: objects come from hand-written etcd values too.
package schema
