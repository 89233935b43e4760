// Package bynode is about the copies of pods by node. A pod bound to a node has a copy of its value below that node's prefix, so that a node
// watches its own pods only and etcd's roles can say so:
//
//	/gantry/bynode/<node>/pods/<ns>/<name>
//
// The registry writes a copy in its pod's own transaction: it has the pod's mod revision, and its bytes. Repair keeps copies in step with pods
// that were written past the registry.
//
// A local volume has a copy for the node that has its directory, by which that node learns that it is deleted:
//
//	/gantry/bynode/<node>/persistentvolumes/<name>
package bynode

import (
	"strings"

	"gantry/registry/store"
)

// Root is the range of all copies.
const Root = "/gantry/bynode/"

const (
	podPrefix    = "/registry/pods/"
	volumePrefix = "/registry/persistentvolumes/"
)

// Prefix is the range of one node's pods.
func Prefix(node string) string { return Root + node + "/pods/" }

// Key is where the copy of a pod lives that is bound to node; "": it has none, as that is no node's name.
func Key(node, namespace, name string) string {
	if !store.IsSegment(node) {
		return ""
	}
	return Prefix(node) + namespace + "/" + name
}

// VolumePrefix is the range of one node's local volumes.
func VolumePrefix(node string) string { return Root + node + "/persistentvolumes/" }

// VolumeKey is where the copy of a local volume of node lives; "": it has none, as that is no node's name.
func VolumeKey(node, name string) string {
	if !store.IsSegment(node) {
		return ""
	}
	return VolumePrefix(node) + name
}

// volumeOf is the volume of a copy's key; false: it is no volume's.
func volumeOf(key string) (string, bool) {
	parts := strings.Split(strings.TrimPrefix(key, Root), "/")
	if len(parts) != 3 || parts[1] != "persistentvolumes" {
		return "", false
	}
	return parts[2], true
}

// podOf is "<ns>/<name>" of a copy's key; false: it is no copy's.
func podOf(key string) (string, bool) {
	parts := strings.Split(strings.TrimPrefix(key, Root), "/")
	if len(parts) != 4 || parts[1] != "pods" {
		return "", false
	}
	return parts[2] + "/" + parts[3], true
}

// PodOf returns the pod of a copy's key; false: it is no copy's.
func PodOf(key string) (namespace, name string, ok bool) {
	pod, ok := "", strings.HasPrefix(key, Root)
	if ok {
		pod, ok = podOf(key)
	}
	namespace, name = split(pod)
	return namespace, name, ok
}

func split(pod string) (namespace, name string) {
	namespace, name, _ = strings.Cut(pod, "/")
	return namespace, name
}
