package env

import (
	"fmt"
	"slices"
	"strings"
)

// Expand replaces $(NAME) by its value; an unknown name stays as it is written, and $$ stands for one $.
func Expand(s string, value func(name string) (string, bool)) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		end := -1
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			i++
			continue
		case '(':
			end = strings.IndexByte(s[i:], ')')
		}
		if end < 0 {
			b.WriteByte('$')
			continue
		}
		if v, ok := value(s[i+2 : i+end]); ok {
			b.WriteString(v)
		} else {
			b.WriteString(s[i : i+end+1])
		}
		i += end
	}
	return b.String()
}

// ExpandAll is Expand for a command line.
func ExpandAll(list []string, value func(name string) (string, bool)) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Expand(s, value)
	}
	return out
}

// ExpandStrictly is Expand where every name must have a value.
func ExpandStrictly(s string, e *Environment) (string, error) {
	var missing []string
	out := Expand(s, func(name string) (string, bool) {
		v, ok := e.Get(name)
		if !ok || v == "" {
			missing = append(missing, name)
		}
		return v, ok
	})
	if len(missing) > 0 {
		slices.Sort(missing)
		return "", fmt.Errorf("missing value for %s", strings.Join(slices.Compact(missing), ", "))
	}
	return out, nil
}
