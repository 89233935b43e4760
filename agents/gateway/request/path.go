package request

import (
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
)

// CheckPath refuses paths that could mean two things: NUL in any; of keys an encoded slash, dot segments and empty segments as well. Kubernetes'
// paths are read as they are decoded, and what they name is checked where it is used (ParseInfo, CheckNames, the registry).
func CheckPath(u *url.URL) error {
	if !strings.HasPrefix(u.Path, keyPrefix) {
		if strings.Contains(u.Path, "\x00") {
			return apierrors.NewBadRequest(fmt.Sprintf("invalid path %q: it may not contain NUL", u.EscapedPath()))
		}
		return nil
	}
	escaped := strings.ToLower(u.EscapedPath())
	if strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%00") || strings.Contains(escaped, "%25") {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid path %q: it may not contain an encoded '/', '%%' or NUL", u.EscapedPath()))
	}
	segments := strings.Split(strings.TrimPrefix(u.Path, "/"), "/")
	for i, s := range segments {
		if s == "" && i < len(segments)-1 {
			return apierrors.NewBadRequest(fmt.Sprintf("invalid path %q: it may not contain an empty segment", u.Path))
		}
		if s == "" {
			continue
		}
		if faults := path.IsValidPathSegmentName(s); len(faults) > 0 {
			return apierrors.NewBadRequest(fmt.Sprintf("invalid resource name %q: %v", s, faults))
		}
	}
	return nil
}

// CheckNames refuses a namespace that cannot be one, and the name of an object that is read. The registry checks the names of objects that are
// written.
func (t *Info) CheckNames() error {
	if t.Resource == nil {
		return nil
	}
	if t.HasNamespace {
		if err := checkName("Namespace", t.Namespace); err != nil {
			return err
		}
	}
	if t.Verb == "get" && !t.Sub.IsStream() {
		return checkName("Name", t.Name)
	}
	return nil
}

func checkName(what, name string) error {
	if faults := path.IsValidPathSegmentName(name); len(faults) > 0 {
		return apierrors.NewBadRequest(fmt.Sprintf("%s parameter invalid: %q: %s", what, name, strings.Join(faults, ";")))
	}
	return nil
}
