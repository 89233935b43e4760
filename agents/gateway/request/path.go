package request

import (
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
)

// CheckPath refuses paths that could mean two things: an encoded slash, NUL, dot segments, empty segments.
func CheckPath(u *url.URL) error {
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
