// Package trace follows what a client of a Service reaches: from the name as a pod asks it, over the name server's answer, the element in
// the kernel and the endpoint slices, to the pods, their containers and what listens in them. Every line names where it was read. A line that
// does not lead on says why.
//
// It reads a snapshot of etcd and, by a Machine, what the machine that it runs on has. On a machine that is not a node the chain is that of
// etcd alone. It changes nothing.
package trace
