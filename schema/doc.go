// Package schema says what an object is. It is pure: no I/O, no clock, no etcd, no HTTP.
//
// A Kind is a value that holds everything Gantry knows of one type of object: its names, its place in
// etcd, its defaults, what a client may not set, what is valid, what a table of it shows. The packages
// below it (core, apps, discovery, coordination) hold one Kind a file over the types of k8s.io/api;
// package kinds is the table of them all. Packages patch and openapi are the rest of what can be said of
// an object without looking at any other.
//
// The functions of a Kind never look at the clock, at another object or at the network, and they never
// panic whatever the object holds: objects come from hand-written etcd values too.
package schema
