package gateway

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"

	"k8s.io/apimachinery/pkg/version"
)

// spokenVersion is the Kubernetes whose API is spoken; the build's own revision stands in gitCommit.
func spokenVersion() version.Info {
	v := version.Info{
		Major: "1", Minor: "36", GitVersion: "v1.36.3+gantry", GitTreeState: "clean",
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			v.GitCommit = s.Value
		case "vcs.time":
			v.BuildDate = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				v.GitTreeState = "dirty"
			}
		}
	}
	return v
}

func (g *gateway) version(w http.ResponseWriter, r *request) error {
	r.shape.pretty = true // as Kubernetes does
	return g.sendObject(w, r, http.StatusOK, g.cfg.Version)
}

// health answers /healthz, /livez and /readyz.
func (g *gateway) health(w http.ResponseWriter, r *request) error {
	g.cfg.Health.ServeHTTP(w, r.Request)
	return nil
}

// paths lists what can be asked.
func (g *gateway) paths(w http.ResponseWriter, r *request) error {
	all := []string{
		"/.well-known/openid-configuration", "/api", "/apis", "/healthz", "/healthz/ping", "/livez", "/livez/ping",
		"/metrics", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/openid/v1/jwks", "/readyz", "/readyz/ping", "/registry/", "/version",
	}
	for _, gv := range g.docs.versions {
		if gv.Group == "" {
			all = append(all, "/api/"+gv.Version)
			continue
		}
		all = append(all, "/apis/"+gv.Group, "/apis/"+gv.String())
	}
	slices.Sort(all)
	r.shape.pretty = true
	return g.sendObject(w, r, http.StatusOK, map[string][]string{"paths": slices.Compact(all)})
}
