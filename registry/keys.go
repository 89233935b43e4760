package registry

import (
	"fmt"
	"strings"

	"gantry/registry/store"
	"gantry/schema"
)

// registryPrefix is the range of all objects. Prefixes of keys end in a slash.
const registryPrefix = "/registry/"

// Key is where an object of k lives in etcd.
func Key(k *schema.Kind, namespace, name string) string {
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

// keyable tells whether an object of k with these names has a key below the kind's prefix.
func keyable(k *schema.Kind, namespace, name string) bool {
	return store.IsSegment(name) && (!k.Namespaced && namespace == "" || k.Namespaced && store.IsSegment(namespace))
}

// prefix is the range that objects of kind k are read from, with its trailing slash.
func (r *Registry) prefix(k *schema.Kind) string {
	if nodeRange := r.hooksOf(k).nodeRange; nodeRange != nil && r.cfg.Node != "" {
		return nodeRange(r.cfg.Node)
	}
	return kindPrefix(k, "")
}

// splitKey splits the part of a key after its kind's prefix: "default/web".
func splitKey(k *schema.Kind, relKey string) (namespace, name string, err error) {
	name = relKey
	if k.Namespaced {
		var ok bool
		if namespace, name, ok = strings.Cut(relKey, "/"); !ok || namespace == "" {
			return "", "", fmt.Errorf("the key has no namespace")
		}
	}
	if name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("the key is no key of a %s", k.Kind)
	}
	return namespace, name, nil
}

// namespaceSpan is the range of a namespace's keys after their kind's prefix; "": all.
func namespaceSpan(namespace string) (lo, hi string) {
	if namespace == "" {
		return "", ""
	}
	return namespace + "/", namespace + "0" // '0' follows '/'
}
