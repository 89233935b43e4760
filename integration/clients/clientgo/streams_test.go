package clientgo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"

	"gantry/integration/clients/cluster"
)

// TestStreams runs commands in a pod and forwards ports to it, over WebSocket and SPDY.
func TestStreams(t *testing.T) {
	whole, err := cluster.StartWhole()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(whole.Stop)
	set, namespace := whole.Clientset(t), whole.Namespace(t)
	runPod(t, whole, set, namespace)
	request := func(subresource string) *rest.Request {
		return set.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name("web").SubResource(subresource)
	}
	execs := map[string]func(command ...string) (remotecommand.Executor, error){
		"WebSocket": func(command ...string) (remotecommand.Executor, error) {
			return remotecommand.NewWebSocketExecutor(whole.Config, http.MethodGet, execURL(request("exec"), command...))
		},
		"SPDY": func(command ...string) (remotecommand.Executor, error) {
			return remotecommand.NewSPDYExecutor(whole.Config, http.MethodPost, execRequest(request("exec"), command...).URL())
		},
	}
	for name, newExec := range execs {
		t.Run("exec/"+name, func(t *testing.T) { useExec(t, newExec) })
	}
	t.Run("portforward/WebSocket", func(t *testing.T) {
		stop := make(chan struct{})
		dialer, err := portforward.NewSPDYOverWebsocketDialer(request("portforward").URL(), whole.Config)
		must(t, err)
		f, err := portforward.New(dialer, []string{"0:8080"}, stop, make(chan struct{}), io.Discard, io.Discard)
		must(t, err)
		useForward(t, f, stop)
	})
	t.Run("portforward/SPDY", func(t *testing.T) {
		stop := make(chan struct{})
		transport, upgrader, err := spdy.RoundTripperFor(whole.Config)
		must(t, err)
		f, err := portforward.New(spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, request("portforward").URL()), []string{"0:8080"}, stop, make(chan struct{}), io.Discard, io.Discard)
		must(t, err)
		useForward(t, f, stop)
	})
	t.Run("logs", func(t *testing.T) {
		seconds := int64(3600)
		stream, err := set.CoreV1().Pods(namespace).GetLogs("web", &corev1.PodLogOptions{Follow: true, SinceSeconds: &seconds}).Stream(t.Context())
		must(t, err)
		defer stream.Close()
		line := make([]byte, len("serving on 8080"))
		if _, err := io.ReadFull(stream, line); err != nil || string(line) != "serving on 8080" {
			t.Errorf("%q, %v", line, err)
		}
	})
	t.Run("proxies", func(t *testing.T) {
		body, err := set.CoreV1().Pods(namespace).ProxyGet("http", "web", "8080", "/", nil).DoRaw(t.Context())
		if err != nil || strings.TrimSpace(string(body)) != "web" {
			t.Errorf("%q, %v", body, err)
		}
	})
}

func runPod(t *testing.T, whole *cluster.Cluster, set kubernetes.Interface, namespace string) {
	t.Helper()
	grace := int64(1)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{Name: "web", Image: whole.Image, Command: []string{"testpod", "serve"}}},
	}}
	_, err := set.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	until(t, "a running pod", func() bool {
		p, err := set.CoreV1().Pods(namespace).Get(t.Context(), "web", metav1.GetOptions{})
		must(t, err)
		return p.Status.Phase == corev1.PodRunning
	})
}

func execRequest(r *rest.Request, command ...string) *rest.Request {
	return r.VersionedParams(&corev1.PodExecOptions{Command: command, Stdin: true, Stdout: true, Stderr: true}, scheme.ParameterCodec)
}

func execURL(r *rest.Request, command ...string) string {
	return execRequest(r, command...).URL().String()
}

func useExec(t *testing.T, newExec func(command ...string) (remotecommand.Executor, error)) {
	run := func(stdin string, command ...string) (stdout, stderr string, err error) {
		exec, err := newExec(command...)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), cluster.Timeout)
		defer cancel()
		var out, errs bytes.Buffer
		err = exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs})
		return out.String(), errs.String(), err
	}
	long := strings.Repeat("0123456789", 100_000)
	if out, errs, err := run(long, "sh", "-c", "cat; echo written >&2"); err != nil || out != long || errs != "written\n" {
		t.Errorf("%d bytes of %d came back, %q, %v", len(out), len(long), errs, err)
	}
	var exit utilexec.CodeExitError
	if _, _, err := run("", "sh", "-c", "exit 9"); !errors.As(err, &exit) || exit.Code != 9 {
		t.Errorf("exit 9: %v", err)
	}
	if out, _, err := run("", "absent"); !errors.As(err, &exit) || exit.Code != 126 || !strings.Contains(out, "executable file not found") {
		t.Errorf("an absent command: %q, %v", out, err)
	}
	exec, err := newExec("sleep", "1000")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard, Stdin: strings.NewReader("")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a cancelled command: %v", err)
	}
}

func useForward(t *testing.T, f *portforward.PortForwarder, stop chan struct{}) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f.ForwardPorts() }()
	select {
	case err := <-ended:
		t.Fatal(err)
	case <-f.Ready:
	}
	ports, err := f.GetPorts()
	must(t, err)
	client := &http.Client{Timeout: cluster.Timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 {
		resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local))
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || strings.TrimSpace(string(body)) != "web" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
