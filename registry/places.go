package registry

import (
	"fmt"
	"strings"

	"gantry/schema"
)

// quarantineKey is where it is recorded what is wrong with the value of key.
func quarantineKey(key string) string { return quarantinePrefix + strings.TrimPrefix(key, "/") }

// prefix is the range that objects of kind k are read from, with its trailing slash.
func (r *Registry) prefix(k *schema.Kind) string {
	if r.cfg.Node != "" && isPod(k) {
		return byNodePrefix(r.cfg.Node)
	}
	return kindPrefix(k, "")
}

// splitKey takes the part of a key after its kind's prefix apart: "default/web".
func splitKey(k *schema.Kind, rest string) (namespace, name string, err error) {
	name = rest
	if k.Namespaced {
		var ok bool
		if namespace, name, ok = strings.Cut(rest, "/"); !ok || namespace == "" {
			return "", "", fmt.Errorf("the key has no namespace")
		}
	}
	if name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("the key is no key of a %s", k.Kind)
	}
	return namespace, name, nil
}
