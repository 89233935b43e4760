package request

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// IfMatch is the resourceVersion that an If-Match header asks for; "" where there is none.
func IfMatch(req *http.Request) (string, error) {
	v := strings.TrimSpace(req.Header.Get("If-Match"))
	if v == "" || v == "*" {
		return "", nil
	}
	rv, ok := unquoteETag(v)
	if !ok {
		return "", apierrors.NewBadRequest(fmt.Sprintf("the If-Match header %q is not one ETag", v))
	}
	return rv, nil
}

func unquoteETag(v string) (string, bool) {
	v = strings.TrimPrefix(v, "W/")
	if len(v) < 3 || v[0] != '"' || v[len(v)-1] != '"' || strings.Contains(v[1:len(v)-1], `"`) {
		return "", false
	}
	return v[1 : len(v)-1], true
}

func ETag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }
