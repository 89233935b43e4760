// Package explain says why objects are as they are. It follows the chain from an object down to the first thing that is not as
// wanted: from a Deployment to its pods, from a pod to the nodes that reject it. Every finding names the key and the revision that it
// was read from.
//
// It is pure: it reads a snapshot and asks the scheduler's own plug-ins, so no agent need run.
package explain
