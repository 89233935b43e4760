package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Settings are the kubelet's, as fields of a KubeletConfiguration of kubelet.config.k8s.io/v1beta1.
type Settings struct {
	metav1.TypeMeta      `json:",inline"`
	Address              string   `json:"address"`
	Port                 uint16   `json:"port"`
	MaxPods              int      `json:"maxPods"`
	ClusterDomain        string   `json:"clusterDomain"`
	ClusterDNS           []string `json:"clusterDNS,omitempty"`
	AllowedUnsafeSysctls []string `json:"allowedUnsafeSysctls,omitempty"`
	PodLogsDir           string   `json:"podLogsDir,omitempty"`
}

// handleNode adds what is about the node and not about one pod.
func (s *server) handleNode(mux *http.ServeMux) {
	mux.Handle("GET /metrics", s.ownMetrics())
	mux.HandleFunc("GET /pods", func(w http.ResponseWriter, _ *http.Request) { writePods(w, s.cfg.Pods.List()) })
	mux.HandleFunc("GET /runningpods/", func(w http.ResponseWriter, _ *http.Request) { writePods(w, runningPods(s.cfg.Pods.List())) })
	mux.HandleFunc("GET /configz", s.configz)
	if s.cfg.LogDir != "" {
		mux.Handle("GET /logs/", http.StripPrefix("/logs/", http.HandlerFunc(s.files)))
	}
}

func writePods(w http.ResponseWriter, pods []*corev1.Pod) {
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{}}
	for _, p := range pods {
		list.Items = append(list.Items, *p)
	}
	writeJSON(w, list)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client went
}

// runningPods are the pods with running containers, and of them only names and these containers.
func runningPods(pods []*corev1.Pod) (running []*corev1.Pod) {
	for _, p := range pods {
		r := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID}}
		for _, statuses := range statusesOf(p) {
			for _, c := range statuses {
				if c.State.Running != nil {
					r.Spec.Containers = append(r.Spec.Containers, corev1.Container{Name: c.Name, Image: c.Image})
				}
			}
		}
		if len(r.Spec.Containers) > 0 {
			running = append(running, r)
		}
	}
	return running
}

// statusesOf are the statuses of a pod's containers: init containers, containers, ephemeral ones.
func statusesOf(p *corev1.Pod) [][]corev1.ContainerStatus {
	return [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses, p.Status.EphemeralContainerStatuses}
}

func (s *server) configz(w http.ResponseWriter, _ *http.Request) {
	settings := s.cfg.Settings
	settings.TypeMeta = metav1.TypeMeta{Kind: "KubeletConfiguration", APIVersion: "kubelet.config.k8s.io/v1beta1"}
	writeJSON(w, map[string]Settings{"kubeletconfig": settings})
}

// files serves the files of LogDir. A link that leads out of it is not followed, for pods may be able to make links there.
func (s *server) files(w http.ResponseWriter, r *http.Request) {
	dir, err := filepath.EvalSymlinks(s.cfg.LogDir)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	asked := path.Clean("/" + r.URL.Path)
	file, err := filepath.EvalSymlinks(filepath.Join(dir, asked))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	inside, err := filepath.Rel(dir, file)
	if err != nil || !filepath.IsLocal(inside) {
		http.Error(w, fmt.Sprintf("%s leads out of the log directory; logs of containers are read by their pod", asked), http.StatusForbidden)
		return
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer root.Close()
	slash := strings.HasSuffix(r.URL.Path, "/") || r.URL.Path == ""
	if r.URL.Path = path.Join("/", inside); slash && r.URL.Path != "/" {
		r.URL.Path += "/"
	}
	http.FileServerFS(root.FS()).ServeHTTP(w, r)
}
