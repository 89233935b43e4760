// Package kubelet runs the pods of one node on its Docker Engine.
//
// # Contract
//
// It reads its pods from the node's own range in etcd (registry.Config.Node) and makes the engine run exactly those: a sandbox with the
// pod's namespaces, the containers joined to it, their volumes, their address. Their state is written as pod status through a gateway, with the
// node's certificate. It also keeps the node's own object and heartbeat (package node), and serves logs, exec and port-forward on
// port 10250 (package server). What knows Docker is package engine.
//
// One worker per pod owns everything known of that pod. It repeats: observe (inspect the containers that the engine's
// event stream named), plan (pure: observation -> actions), execute. What takes time (a pull, a start, a stop with its grace) runs beside
// the worker, one such job per container, and wakes it at its end. Every step can be repeated: whatever a crash leaves
// behind, the next step repairs.
//
// # What survives a restart
//
// Everything a restarted kubelet must know is kept on the containers: names and labels (engine/labels.go). So it adopts what runs,
// without restarting a container or changing an address; back-off goes on where it was. A container is
// replaced in place only when the stored hash of its image field no longer matches.
//
// With the engine away nothing is decided: the pods keep their last status. With etcd or every gateway away nothing is
// stopped: a pod counts as gone only when a consistent read does not find it.
//
// Containers of the node are those labelled io.gantry.node=<node>; nothing else in the engine is touched.
package kubelet
