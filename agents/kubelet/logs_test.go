package kubelet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/daemon"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/server"
	"gantry/registry"
)

func TestEndOfLog(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("line\n", n) }
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"one line", "a\n", "a\n"},
		{"not ended", "a\nb", "a\nb"},
		{"as many as may be", lines(80), lines(80)},
		{"one too many", "first\n" + lines(80), lines(80)},
		{"and not ended", "first\n" + lines(79) + "last", lines(79) + "last"},
		{"empty lines", "first\n" + strings.Repeat("\n", 80), strings.Repeat("\n", 80)},
		{"a long one", strings.Repeat("x", 40_000) + "\n", strings.Repeat("x", 2047) + "\n"},
		{"the end of a long one", strings.Repeat("x", pieceOfLog) + "rest\n" + lines(79), strings.Repeat("x", 2048-5-79*5) + "rest\n" + lines(79)},
		{"half a character", strings.Repeat("é", 2000) + "x", strings.Repeat("é", 1023) + "x"},
	} {
		if got := endOfLog([]byte(tt.in)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

const pieceOfLog = 16 << 10

// oneContainer is a node with one container.
type oneContainer string

func (c oneContainer) Container(string, string, string, string, bool) (string, error) {
	return string(c), nil
}
func (oneContainer) SandboxPID(string, string, string) (int, error) { return 0, nil }
func (oneContainer) List() []*corev1.Pod                            { return nil }

// TestLongLogLines reads long lines that the engine really keeps in pieces.
func TestLongLogLines(t *testing.T) {
	r := newTestCluster(t).start()
	long := strings.Repeat("l", 40_000)
	text := "short\n" + long + "\nend"
	if _, err := registry.For[*corev1.ConfigMap](r.api).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "text"}, Data: map[string]string{"text": text},
	}); err != nil {
		t.Fatal(err)
	}
	mount := func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "text"}}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}
	}
	r.run("plain", mount, "cat", "/v/text")
	r.run("tty", func(p *corev1.Pod) { mount(p); p.Spec.Containers[0].TTY = true }, "cat", "/v/text")
	r.run("fails", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	}, "touch", "/"+long)
	stamp := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z `)
	for _, name := range []string{"plain", "tty"} {
		pod := r.until(name, "running", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
		id := pod.Status.ContainerStatuses[0].ContainerID
		all := r.answer(id, "timestamps=true&follow=true", "Z up")
		all = strings.ReplaceAll(stamp.ReplaceAllString(all, "#"), "\r\n", "\n")
		if !strings.HasPrefix(all, "#== /v/text <nil>\n#short\n#"+long+"\n#end\n#") {
			t.Errorf("%s: with times: %.100q...", name, strings.ReplaceAll(all, long, "LONG"))
		}
		lines := strings.Count(all, "\n") - 2 // without the first two
		last := strings.ReplaceAll(r.answer(id, "tailLines="+strconv.Itoa(lines), ""), "\r\n", "\n")
		if !strings.HasPrefix(last, long+"\nend\n") || strings.Count(last, "\n") != lines {
			t.Errorf("%s: the last %d lines: %.100q...", name, lines, strings.ReplaceAll(last, long, "LONG"))
		}
	}
	failed := r.until("fails", "failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	end := failed.Status.ContainerStatuses[0].State.Terminated
	if got := end.Message; len(got) != 2048 || !strings.HasSuffix(got, "lll: file name too long\n") {
		t.Errorf("the message has %d bytes: %q", len(got), strings.ReplaceAll(got, long, "LONG"))
	}
}

// answer is what the node's server answers for a container's log; until, where set, is when it has been read enough of.
func (r *testCluster) answer(containerID, query, until string) string {
	r.Helper()
	h, err := server.New(server.Config{Pods: oneContainer(strings.TrimPrefix(containerID, "docker://")), Engine: r.engine(), Stats: (&kubelet{}).stats(), Health: &daemon.Health{}, Log: testLog(r)})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	req := httptest.NewRequestWithContext(ctx, "GET", "/containerLogs/default/web/c?"+query, nil)
	req.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "gantry-gateway"}}}}}
	w := &watchedAnswer{httptest.NewRecorder(), watchedLog{text: until, contained: cancel}}
	h.ServeHTTP(w, req)
	if text := w.watchedLog.String(); w.Code == http.StatusOK && (until == "" || strings.Contains(text, until)) {
		return text
	}
	r.Fatalf("%d %s", w.Code, w.watchedLog.String())
	return ""
}

// watchedAnswer is an answer whose body is watched.
type watchedAnswer struct {
	*httptest.ResponseRecorder
	watchedLog
}

func (w *watchedAnswer) Write(b []byte) (int, error) {
	if w.text == "" {
		return w.Buffer.Write(b)
	}
	return w.watchedLog.Write(b)
}

// TestLogsOfWhatHasNotStarted holds the answers to Kubernetes' words; the engine's own stand in the status.
func TestLogsOfWhatHasNotStarted(t *testing.T) {
	k := &kubelet{log: testLog(t)}
	w := newWorker(k, engine.PodRef{Namespace: "default", Name: "web", UID: "u"})
	k.workers = map[string]*worker{"u": w}
	for reason, want := range map[string]string{
		"":                           "ContainerCreating",
		"ContainerCreating":          "ContainerCreating",
		"PodInitializing":            "PodInitializing",
		"ErrImagePull":               "image can't be pulled",
		"ImagePullBackOff":           "trying and failing to pull image",
		"CreateContainerConfigError": "CreateContainerConfigError",
	} {
		s := &snapshot{pod: &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}}
		if reason != "" {
			s.status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "Error response from daemon: Get https://..."}}}}
		}
		w.snapshot.Store(s)
		_, err := (*podIndex)(k).Container("default", "web", "", "c", false)
		var e *registry.Error
		if !errors.As(err, &e) || e.Kind != registry.BadRequest || e.Reason != `container "c" in pod "web" is waiting to start: `+want {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

// untilLog waits until a container has written text, and returns all it wrote.
func (r *testCluster) untilLog(containerID, text string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	out, err := r.docker.ContainerLogs(ctx, strings.TrimPrefix(containerID, "docker://"), container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		r.Fatal(err)
	}
	defer out.Close()
	w := &watchedLog{text: text, contained: cancel}
	_, err = stdcopy.StdCopy(w, w, out)
	if !strings.Contains(w.String(), text) {
		r.Fatalf("%q is not in the log (%v):\n%s", text, err, w)
	}
	return w.String()
}

// watchedLog keeps what is written and calls contained when it contains text.
type watchedLog struct {
	bytes.Buffer
	text      string
	contained func()
}

func (w *watchedLog) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if bytes.Contains(w.Bytes(), []byte(w.text)) {
		w.contained()
	}
	return n, err
}
