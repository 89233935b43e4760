package extensionclient

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
)

// A client's own headers name nobody, and what a header cannot hold is escaped.
func TestSetUser(t *testing.T) {
	h := http.Header{"Accept": {"x"}, "X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}, "x-remote-extra-a": {"b"}}
	SetUser(h, &authenticationv1.UserInfo{
		Username: "ann", UID: "7", Groups: []string{"g", "h"}, Extra: map[string]authenticationv1.ExtraValue{"example.com/scopes %": {"one", "two"}},
	})
	want := http.Header{
		"Accept": {"x"}, "X-Remote-User": {"ann"}, "X-Remote-Uid": {"7"}, "X-Remote-Group": {"g", "h"},
		"X-Remote-Extra-Example.com%2fscopes%20%25": {"one", "two"},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
}
