package admin

import (
	"flag"
	"testing"

	"github.com/urfave/cli/v2"

	"gantry/schema"
	"gantry/schema/core"
)

// TestObjectsAreOfTheSessionsKinds checks that kinds and keys are looked up in the session's set of kinds and in no other.
func TestObjectsAreOfTheSessionsKinds(t *testing.T) {
	s := &session{kinds: schema.NewSet(core.ConfigMap)}
	for _, tc := range []struct{ arg, want string }{
		{"cm/a", "/registry/configmaps/default/a"},
		{"ConfigMap/a", "/registry/configmaps/default/a"},
		{"/registry/configmaps/x/a", "/registry/configmaps/x/a"},
		{"pods/a", `there is no kind "pods"`},
		{"/registry/pods/x/a", "/registry/pods/x/a is not the key of an object (such as /registry/pods/default/web)"},
	} {
		flags := flag.NewFlagSet("get", flag.ContinueOnError)
		flags.String("namespace", "default", "")
		if err := flags.Parse([]string{tc.arg}); err != nil {
			t.Fatal(err)
		}
		o, err := s.object(cli.NewContext(nil, flags, nil))
		got := o.key
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.arg, got, tc.want)
		}
	}
}
