package registry

import (
	"strconv"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"gantry/schema"
)

// The places in etcd. A prefix ends in a slash.
const (
	registryPrefix   = "/registry/"
	bynodePrefix     = "/gantry/bynode/"
	nodePortPrefix   = "/gantry/nodeports/"
	addressPrefix    = "/registry/ipaddresses/"
	quarantinePrefix = "/gantry/quarantine/"
	electionPrefix   = "/gantry/election/"
)

// objectKey is where an object of k lives.
func objectKey(k *schema.Kind, namespace, name string) string {
	if k.Namespaced {
		return registryPrefix + k.Prefix + "/" + namespace + "/" + name
	}
	return registryPrefix + k.Prefix + "/" + name
}

// kindPrefix is the range of a kind's objects in a namespace ("": all of them).
func kindPrefix(k *schema.Kind, namespace string) string {
	if k.Namespaced && namespace != "" {
		return registryPrefix + k.Prefix + "/" + namespace + "/"
	}
	return registryPrefix + k.Prefix + "/"
}

// byNodeKey is where the copy of a pod bound to node lives.
func byNodeKey(node, namespace, name string) string {
	return byNodePrefix(node) + namespace + "/" + name
}

// byNodePrefix is the range of one node's pods.
func byNodePrefix(node string) string { return bynodePrefix + node + "/pods/" }

// addressKey is where the IPAddress that claims a cluster IP lives: one per address, so that a compare for its
// absence makes the address unique.
func addressKey(ip string) string { return addressPrefix + ip }

// nodePortKey is where the claim on a node port lives.
func nodePortKey(port int32) string { return nodePortPrefix + strconv.Itoa(int(port)) }

// isSegment tells whether s can be one segment of a key. Nothing else may be built into one.
func isSegment(s string) bool { return s != "" && len(content.IsPathSegmentName(s)) == 0 }

// keyable tells whether an object of k with these names has a key, as opposed to one outside its prefix.
func keyable(k *schema.Kind, namespace, name string) bool {
	return isSegment(name) && (!k.Namespaced && namespace == "" || k.Namespaced && isSegment(namespace))
}
