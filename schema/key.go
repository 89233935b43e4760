package schema

import "strings"

// Key parses a key below /registry/: "pods/default/web" is the kind of pods, "default", "web".
// A key that ends in a slash has an empty name. ok is false for a key of no kind or of another depth.
func (s *Set) Key(rel string) (k *Kind, namespace, name string, ok bool) {
	for prefix, rest, more := strings.Cut(rel, "/"); more; {
		if k = s.byPrefix[prefix]; k != nil {
			return splitName(k, rest)
		}
		var next string
		next, rest, more = strings.Cut(rest, "/")
		prefix += "/" + next
	}
	return nil, "", "", false
}

func splitName(k *Kind, rest string) (*Kind, string, string, bool) {
	if !k.Namespaced {
		return k, "", rest, !strings.Contains(rest, "/")
	}
	namespace, name, two := strings.Cut(rest, "/")
	if !two {
		return k, "", "", rest == "" // the whole prefix; the key of a namespace ends in a slash
	}
	return k, namespace, name, namespace != "" && !strings.Contains(name, "/")
}
