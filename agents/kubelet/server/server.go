// Package server is the node's HTTP interface on port 10250: logs, exec, attach and port-forward of its pods, and what the kubelet
// tells of the node, for the gateway's identity and administrators. Metrics and stats are open to whom the gateway permits nodes/metrics and
// nodes/stats as well, by certificate or token.
//
//	GET      /containerLogs/{namespace}/{pod}/{container}   follow, tailLines, previous, sinceSeconds, sinceTime, timestamps, limitBytes, stream
//	GET POST /exec/{namespace}/{pod}[/{uid}]/{container}    command, input, output, error, tty
//	GET POST /attach/{namespace}/{pod}[/{uid}]/{container}  input, output, error, tty
//	GET POST /portForward/{namespace}/{pod}[/{uid}]         port (WebSocket only)
//	GET      /pods, /runningpods/                           a PodList
//	GET      /logs/...                                      files of the node's log directory
//	GET      /metrics, /configz                             the kubelet's own
//	GET      /metrics/resource                              what the node, pods and containers use, as Prometheus' text
//	GET      /metrics/cadvisor                              the same and the network, with cAdvisor's names: those that dashboards are made of
//	GET POST /stats/summary                                 the same and more, as a Summary of k8s.io/kubelet/pkg/apis/stats/v1alpha1
//	GET      /healthz                                       open to all
//
// exec, attach and port-forward speak SPDY and WebSocket; exec and attach over WebSocket also v5, in which a client can end
// its input.
package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/registry"
)

// Pods is what the server asks the kubelet.
type Pods interface {
	// Container returns the engine's id of a container of a pod ("" uid: any); previous: of the one before it. An error
	// that is registry.NotFound is answered with 404, registry.BadRequest with 400; its text goes to the client.
	Container(namespace, pod, uid, container string, previous bool) (id string, err error)
	// SandboxPID returns the process of a pod's sandbox, whose network namespace is the pod's.
	SandboxPID(namespace, pod, uid string) (pid int, err error)
	// List returns the node's pods, for /pods.
	List() []*corev1.Pod
}

// Engine is what the server asks the engine; see engine.Engine.
type Engine interface {
	Container(ctx context.Context, id string) (*engine.ContainerStatus, error)
	Exec(ctx context.Context, id string, command []string, s engine.Streams) (exitCode int, err error)
	Attach(ctx context.Context, id string, s engine.Streams) error
	Logs(ctx context.Context, id string, o engine.LogOptions) (engine.Log, error)
}

// Config is what the server needs.
type Config struct {
	Pods   Pods
	Engine Engine
	Stats  Stats
	// Reviews tell who else may read metrics and stats, of the node named Node; nil: nobody.
	Reviews Reviews
	Node    string
	// Health answers /healthz.
	Health http.Handler
	// LogDir is what /logs/ shows; "": there is no /logs/.
	LogDir string
	// Settings are what /configz tells.
	Settings Settings
	Log      *slog.Logger
}

// New returns the handler. It is to be served with TLS whose client certificates are verified against the cluster's CA; it
// lets in the common name gantry-gateway and the organisation system:masters, and asks Reviews for others who want metrics or stats;
// all others get 401 or 403. /healthz is open to all.
func New(cfg Config) (http.Handler, error) {
	if cfg.Pods == nil || cfg.Engine == nil || cfg.Stats == nil || cfg.Health == nil || cfg.Log == nil {
		return nil, errors.New("pods, engine, stats, health and log must be set")
	}
	s := &server{cfg}
	open, mux := http.NewServeMux(), http.NewServeMux()
	open.Handle("GET /healthz", cfg.Health)
	open.Handle("GET /healthz/", cfg.Health)
	open.Handle("/", s.authorised(mux))
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	for _, method := range []string{"GET ", "POST "} {
		mux.HandleFunc(method+"/exec/{namespace}/{pod}/{container}", s.exec)
		mux.HandleFunc(method+"/exec/{namespace}/{pod}/{uid}/{container}", s.exec)
		mux.HandleFunc(method+"/attach/{namespace}/{pod}/{container}", s.attach)
		mux.HandleFunc(method+"/attach/{namespace}/{pod}/{uid}/{container}", s.attach)
		mux.HandleFunc(method+"/portForward/{namespace}/{pod}", s.portForward)
		mux.HandleFunc(method+"/portForward/{namespace}/{pod}/{uid}", s.portForward)
	}
	s.handleNode(mux)
	s.handleStats(mux)
	return open, nil
}

type server struct{ cfg Config }

// container is the engine's id of the container a request names; on a fault it answers itself.
func (s *server) container(w http.ResponseWriter, r *http.Request, previous bool) (id string, ok bool) {
	id, err := s.cfg.Pods.Container(r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("uid"), r.PathValue("container"), previous)
	if err != nil {
		s.fail(w, r, err)
		return "", false
	}
	return id, true
}

// fail answers with an error; only before anything else is written.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, text := http.StatusInternalServerError, err.Error()
	var known *registry.Error
	if errors.As(err, &known) && known.Reason != "" {
		text = known.Reason
	}
	switch {
	case errors.Is(err, registry.NotFound), errors.Is(err, engine.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, registry.BadRequest), errors.Is(err, engine.ErrInvalid), errors.Is(err, engine.ErrConflict):
		code = http.StatusBadRequest
	case r.Context().Err() != nil: // the client left
	default:
		s.cfg.Log.Warn("stream failed", "agent", "kubelet", "path", r.URL.Path, "err", err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text)
}
