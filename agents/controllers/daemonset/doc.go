// Package daemonset has the controller of DaemonSets: a pod on every node that may run it.
//
// The controller decides on which nodes pods are to be, and the scheduler binds them: each pod has a node affinity that only its node
// matches. A rolling update deletes old pods within maxUnavailable, or makes new ones beside them within maxSurge.
package daemonset
