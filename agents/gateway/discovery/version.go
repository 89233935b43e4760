package discovery

import (
	"net/http"
	"runtime"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/version"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
)

// ServedVersion is the Kubernetes whose API is served; gitCommit is the build's own revision.
func ServedVersion() version.Info {
	v := version.Info{
		Major: "1", Minor: "36", EmulationMajor: "1", EmulationMinor: "36", MinCompatibilityMajor: "1", MinCompatibilityMinor: "35", GitVersion: "v1.36.3+gantry", GitTreeState: "clean",
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

func (d *Documents) Version(w http.ResponseWriter, r *request.Request) error {
	if _, err := request.Negotiate(r.Header, true, request.Offer{Types: []string{request.JSONType}}); err != nil {
		return err
	}
	r.Shape.Pretty = true // as Kubernetes does
	return encode.Object(w, r, http.StatusOK, d.version)
}
