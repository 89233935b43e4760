// Package profiles reads upstream's KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1): which schedulers there are, which plug-ins
// each of them has with which weights and arguments, and how long a pod is backed off.
//
// Read is strict. A field that does not exist, a value that is not valid and a setting that Gantry lacks (extenders) are errors that name the field.
// Settings of upstream's process that decide nothing here are accepted and have no effect: parallelism, percentageOfNodesToScore (every node is
// scored), leaderElection, clientConnection, profiling, and how many nodes preemption looks at (all).
package profiles
