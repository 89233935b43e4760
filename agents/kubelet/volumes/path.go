package volumes

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Limits of a path's length, in bytes.
const (
	maxName = 255
	maxPath = 4096
)

// Join is dir with names below it. Every path made of an object's fields (a uid, the name of a volume or of a container) is made
// here: the object may have been written past the gateway, so each name must be one plain segment.
func Join(dir string, names ...string) (string, error) {
	for _, name := range names {
		if name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00") {
			return "", fmt.Errorf("%q is not a plain name", name)
		}
	}
	return filepath.Join(append([]string{dir}, names...)...), nil
}

// Local is a path of an object's field, cleaned, for use below some directory. It may not be able to lead out of it: it is
// relative and has no "..".
func Local(name string) (string, error) {
	segments := strings.Split(name, "/")
	switch {
	case name == "":
		return "", fmt.Errorf("invalid path: must not be empty: %q", name)
	case path.IsAbs(name):
		return "", fmt.Errorf("invalid path: must be relative path: %s", name)
	case len(name) > maxPath:
		return "", fmt.Errorf("invalid path: must be less than or equal to %d characters", maxPath)
	case slices.Contains(segments, ".."):
		return "", fmt.Errorf("invalid path: must not contain '..': %s", name)
	case slices.ContainsFunc(segments, func(s string) bool { return len(s) > maxName }):
		return "", fmt.Errorf("invalid path: filenames must be less than or equal to %d characters", maxName)
	case strings.Contains(name, "\x00"):
		return "", fmt.Errorf("invalid path: must not contain a zero byte: %q", name)
	}
	return path.Clean(name), nil
}
