package registry

import (
	"gantry/registry/store"
	"gantry/schema"
)

// The places in etcd. A prefix ends in a slash.
const (
	registryPrefix   = "/registry/"
	quarantinePrefix = "/gantry/quarantine/"
)

// objectKey is where an object of k lives.
func objectKey(k *schema.Kind, namespace, name string) string {
	if k.Namespaced {
		return registryPrefix + k.Prefix + "/" + namespace + "/" + name
	}
	return registryPrefix + k.Prefix + "/" + name
}

// Key is where an object of k lives in etcd.
func Key(k *schema.Kind, namespace, name string) string { return objectKey(k, namespace, name) }

// kindPrefix is the range of a kind's objects in a namespace ("": all of them).
func kindPrefix(k *schema.Kind, namespace string) string {
	if k.Namespaced && namespace != "" {
		return registryPrefix + k.Prefix + "/" + namespace + "/"
	}
	return registryPrefix + k.Prefix + "/"
}

// keyable tells whether an object of k with these names has a key, as opposed to one outside its prefix.
func keyable(k *schema.Kind, namespace, name string) bool {
	return store.IsSegment(name) && (!k.Namespaced && namespace == "" || k.Namespaced && store.IsSegment(namespace))
}
