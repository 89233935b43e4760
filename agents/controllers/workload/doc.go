// Package workload has the controllers of interchangeable pods: deployment, replicaset and replicationcontroller.
//
// A controller owns its children by a controller reference. Children that its selector matches and nobody controls are adopted, those it
// no longer matches are released; both are written before anything is decided about their number. Plans are pure functions of the objects
// in the cache and the time; testdata has golden ones.
package workload
