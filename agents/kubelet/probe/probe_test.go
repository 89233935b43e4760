package probe

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// script answers exec probes by their first word, one answer after the other, and then always with the last.
type script struct {
	mu      sync.Mutex
	answers map[string]string // command -> "0011"
	runs    map[string]int
}

func (s *script) exec(_ context.Context, _ string, command []string) ([]byte, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers, n := s.answers[command[0]], s.runs[command[0]]
	s.runs[command[0]]++
	return []byte("said " + command[0]), int(answers[min(n, len(answers)-1)] - '0'), nil
}

func execProbe(command string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{command}}},
		PeriodSeconds: period, FailureThreshold: failures, SuccessThreshold: 1, TimeoutSeconds: 1,
	}
}

func TestVerdictsOverTime(t *testing.T) {
	cases := []struct {
		name      string
		container corev1.Container
		answers   map[string]string
		wasReady  bool
		want      map[int]Result // after so many seconds
	}{
		{"readiness comes and goes", corev1.Container{ReadinessProbe: execProbe("r", 10, 2)}, map[string]string{"r": "10110"}, false, map[int]Result{
			1: {Started: true}, 11: {Started: true, Ready: true}, 21: {Started: true, Ready: true}, 31: {Started: true}, 41: {Started: true, Ready: true}}},
		{"a restarted kubelet keeps readiness", corev1.Container{ReadinessProbe: execProbe("r", 10, 2)}, map[string]string{"r": "1"}, true, map[int]Result{
			1: {Started: true, Ready: true}, 11: {Started: true}}},
		{"liveness fails for good", corev1.Container{LivenessProbe: execProbe("l", 10, 3)}, map[string]string{"l": "0111"}, false, map[int]Result{
			21: {Started: true, Ready: true}, 31: {Started: true, Ready: true, Unhealthy: "liveness"}}},
		{"startup holds the others back", corev1.Container{StartupProbe: execProbe("s", 5, 10), LivenessProbe: execProbe("l", 1, 1)}, map[string]string{"s": "110", "l": "1"}, false, map[int]Result{
			6: {}, 9: {}, 12: {Started: true, Ready: true, Unhealthy: "liveness"}}},
		{"startup never succeeds", corev1.Container{StartupProbe: execProbe("s", 5, 2)}, map[string]string{"s": "1"}, false, map[int]Result{
			4: {}, 6: {Unhealthy: "startup"}}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tc.answers, runs: map[string]int{}}
				p := New(Config{Exec: s.exec, Changed: func(*corev1.Pod) {}, Event: func(*corev1.Pod, string, string, string) {}, Log: slog.New(slog.DiscardHandler)})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- p.Run(ctx) }()
				p.Ensure(ctx, Target{Pod: &corev1.Pod{}, Container: &tc.container, ID: "c", StartedAt: time.Now(), WasReady: tc.wasReady})
				begin := time.Now()
				for second := 0; second < 45; second++ {
					want, ok := tc.want[second]
					if !ok {
						continue
					}
					time.Sleep(time.Until(begin.Add(time.Duration(second) * time.Second))) // the bubble's clock
					synctest.Wait()
					if got, _ := p.Result("c"); got != want {
						t.Errorf("after %d s: %+v, want %+v", second, got, want)
					}
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestFailedProbesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		s := &script{answers: map[string]string{"r": "1"}, runs: map[string]int{}}
		p := New(Config{Exec: s.exec, Changed: func(*corev1.Pod) { t.Error("nothing changed") }, Log: slog.New(slog.DiscardHandler),
			Event: func(_ *corev1.Pod, container, reason, message string) {
				events = append(events, container+" "+reason+": "+message)
			}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		probe := execProbe("r", 10, 3)
		probe.InitialDelaySeconds = 5
		p.Ensure(ctx, Target{Pod: &corev1.Pod{}, Container: &corev1.Container{Name: "web", ReadinessProbe: probe}, ID: "c", StartedAt: time.Now()})
		time.Sleep(16 * time.Second)
		synctest.Wait()
		p.Forget("c")
		time.Sleep(time.Minute)
		cancel()
		<-done
		want := []string{"web Unhealthy: Readiness probe failed: said r", "web Unhealthy: Readiness probe failed: said r"}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Error(diff)
		}
		if _, ok := p.Result("c"); ok {
			t.Error("a forgotten container has a result")
		}
	})
}

func TestHTTPAndTCP(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/ok":
			if req.Header.Get("X-A") != "b" || req.Host != "name" || !strings.HasPrefix(req.UserAgent(), "kube-probe/") {
				w.WriteHeader(http.StatusTeapot)
			}
		case "/away":
			http.Redirect(w, req, "http://192.0.2.1/", http.StatusFound)
		case "/here":
			http.Redirect(w, req, "/bad", http.StatusFound)
		case "/to-ok":
			http.Redirect(w, req, "/ok", http.StatusFound)
		case "/loop":
			http.Redirect(w, req, "/loop", http.StatusFound)
		case "/choices":
			w.WriteHeader(http.StatusMultipleChoices)
			_, _ = w.Write([]byte("one or two"))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("less"))
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	addr := server.Listener.Addr().(*net.TCPAddr)
	target := &target{Target: Target{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: "ns", UID: "u1"}}, IP: netip.MustParseAddr("127.0.0.1"), Container: &corev1.Container{
		Name: "web", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: int32(addr.Port)}}}}}
	http := func(path string, port intstr.IntOrString) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: port, HTTPHeaders: []corev1.HTTPHeader{{Name: "X-A", Value: "b"}, {Name: "Host", Value: "name"}}}}
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	closedPort := closed.Addr().(*net.TCPAddr).Port
	refused := "dial tcp 127.0.0.1:" + strconv.Itoa(closedPort) + ": connect: connection refused"
	cases := []struct {
		name    string
		handler corev1.ProbeHandler
		want    string // how it ends, then the end of the text
	}{
		{"http", http("/ok", intstr.FromString("http")), "success"},
		{"http 500", http("/bad?x=1", intstr.FromInt(addr.Port)), "failure: HTTP probe failed with statuscode: 500"},
		{"redirect to another host", http("/away", intstr.FromInt(addr.Port)), "warning: Probe terminated redirects, Response body: <a href=\"http://192.0.2.1/\">Found</a>.\n\n"},
		{"redirect on the host", http("/here", intstr.FromInt(addr.Port)), "failure: HTTP probe failed with statuscode: 500"},
		{"redirect to what is well", http("/to-ok", intstr.FromInt(addr.Port)), "success"},
		{"redirects without an end", http("/loop", intstr.FromInt(addr.Port)), "failure: Get \"/loop\": stopped after 10 redirects"},
		{"300 without a place", http("/choices", intstr.FromInt(addr.Port)), "warning: Probe terminated redirects, Response body: one or two"},
		{"an answer that breaks off", http("/cut", intstr.FromInt(addr.Port)), "unknown: unexpected EOF"},
		{"unknown port name", http("/ok", intstr.FromString("none")), `unknown: couldn't find port: none in container "web"`},
		{"tcp", corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}, "success"},
		{"tcp refused", corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(closedPort)}}, "failure: " + refused},
		{"tcp, unknown port name", corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("none")}}, `unknown: couldn't find port: none in container "web"`},
		{"grpc refused", corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(closedPort)}}, "failure: error: health rpc failed: rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: " + refused + "\""},
		{"nothing to do", corev1.ProbeHandler{}, "unknown: missing probe handler for pod_ns(u1):web"},
	}
	for _, tc := range cases {
		a := (&Prober{}).runWithRetries(t.Context(), target, &corev1.Probe{ProbeHandler: tc.handler})
		if got := describe(a); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func describe(a result) string {
	switch {
	case a.err != nil:
		return "unknown: " + a.err.Error()
	case !a.ok:
		return "failure: " + a.message
	case a.warning != "":
		return "warning: " + a.warning
	}
	return "success"
}

// A container that cannot be probed is probed three times, an event reports it, and its health stays.
func TestProbeThatCannotAskDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		runs := 0
		p := New(Config{Changed: func(*corev1.Pod) { t.Error("the verdict changed") }, Log: slog.New(slog.DiscardHandler),
			Exec: func(context.Context, string, []string) ([]byte, int, error) {
				runs++
				return nil, 0, errors.New("the engine is away")
			},
			Event: func(_ *corev1.Pod, _, reason, message string) { events = append(events, reason+": "+message) }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		p.Ensure(ctx, Target{Pod: &corev1.Pod{}, Container: &corev1.Container{Name: "web", LivenessProbe: execProbe("l", 10, 1)}, ID: "c", StartedAt: time.Now()})
		time.Sleep(5 * time.Second) // the bubble's clock
		synctest.Wait()
		cancel()
		<-done
		want := []string{"Unhealthy: Liveness probe errored and resulted in unknown state: the engine is away"}
		if diff := cmp.Diff(want, events); diff != "" || runs != maxTries {
			t.Errorf("run %d times, want %d; events (-want +got):\n%s", runs, maxTries, diff)
		}
	})
}

// A warning is events, and is success.
func TestWarningIsSuccess(t *testing.T) {
	var events []string
	p := New(Config{Event: func(_ *corev1.Pod, _, reason, message string) { events = append(events, reason+": "+message) }})
	p.record(&target{Target: Target{Pod: &corev1.Pod{}, Container: &corev1.Container{}}}, "Readiness", result{ok: true, warning: "Probe terminated redirects, Response body: x"})
	if diff := cmp.Diff([]string{"ProbeWarning: Readiness probe warning: Probe terminated redirects, Response body: x"}, events); diff != "" {
		t.Error(diff)
	}
}

func TestExecTimeoutSaysSo(t *testing.T) {
	p := New(Config{Exec: func(ctx context.Context, _ string, _ []string) ([]byte, int, error) {
		<-ctx.Done()
		return nil, 0, errors.Join(errors.New("stopped"), ctx.Err())
	}})
	synctest.Test(t, func(t *testing.T) {
		a := p.runWithRetries(t.Context(), &target{Target: Target{ID: "c"}}, execProbe("slow", 1, 1))
		if got, want := describe(a), `failure: command timed out: "slow" timed out after 1s`; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
