package authenticate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gantry/agents/gateway"
	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/gatewaytest"
	"gantry/schema/kinds"
)

func TestReadFile(t *testing.T) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	for _, tt := range []struct {
		name, text string
		want       *authenticate.Anonymous
		fault      string
	}{
		{"nothing is said", head, nil, ""},
		{"off", head + "anonymous: {enabled: false}\n", &authenticate.Anonymous{Off: true}, ""},
		{"paths", head + "anonymous: {enabled: true, conditions: [{path: /livez}, {path: /readyz}]}\n", &authenticate.Anonymous{Paths: []string{"/livez", "/readyz"}}, ""},
		{"off with paths", head + "anonymous: {enabled: false, conditions: [{path: /livez}]}\n", nil, "enabled should be set to true"},
		{"an issuer", head + "jwt: [{issuer: {url: https://x, audiences: [a]}, claimMappings: {username: {claim: sub, prefix: ''}}}]\n", nil, "jwt: "},
		{"another kind", "apiVersion: v1\nkind: Pod\n", nil, `no kind "Pod"`},
		{"an unknown field", head + "anonymus: {enabled: false}\n", nil, `unknown field "anonymus"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := authenticate.ReadFile(path)
			if (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Fatalf("%v, want %q", err, tt.fault)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnonymousPaths(t *testing.T) {
	for _, tt := range []struct {
		name string
		authenticate.Anonymous
		livez, version int
	}{
		{"all", authenticate.Anonymous{}, 200, 200},
		{"one", authenticate.Anonymous{Paths: []string{"/livez"}}, 200, 401},
		{"none", authenticate.Anonymous{Off: true}, 401, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := gatewaytest.NewOf(t, kinds.New(), func(cfg *gateway.Config) { cfg.Anonymous = tt.Anonymous })
			nobody := c.Client()
			if livez, version := c.Do(nobody, "GET", "/livez", "").Code, c.Do(nobody, "GET", "/version", "").Code; livez != tt.livez || version != tt.version {
				t.Errorf("/livez %d, /version %d; want %d, %d", livez, version, tt.livez, tt.version)
			}
		})
	}
}
