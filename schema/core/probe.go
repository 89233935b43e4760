package core

import (
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// checkLifecycle checks hooks and probes.
func (c *podCheck) checkLifecycle(ctr *corev1.Container, p *field.Path) {
	if l := ctr.Lifecycle; l != nil {
		at := p.Child("lifecycle")
		c.checkHook(l.PostStart, at.Child("postStart"))
		c.checkHook(l.PreStop, at.Child("preStop"))
		if l.StopSignal != nil {
			c.checkStopSignal(*l.StopSignal, at.Child("stopSignal"))
		}
	}
	if ctr.LivenessProbe != nil {
		c.checkProbeOnce(ctr.LivenessProbe, p.Child("livenessProbe"))
	}
	if r := ctr.ReadinessProbe; r != nil {
		at := p.Child("readinessProbe")
		c.checkProbe(r, at)
		if r.TerminationGracePeriodSeconds != nil {
			c.Invalid(at.Child("terminationGracePeriodSeconds"), *r.TerminationGracePeriodSeconds, "must not be set for readinessProbes")
		}
	}
	if ctr.StartupProbe != nil {
		c.checkProbeOnce(ctr.StartupProbe, p.Child("startupProbe"))
	}
}

// checkProbeOnce checks a probe that one success is enough for.
func (c *podCheck) checkProbeOnce(probe *corev1.Probe, p *field.Path) {
	c.checkProbe(probe, p)
	if probe.SuccessThreshold != 1 {
		c.Invalid(p.Child("successThreshold"), probe.SuccessThreshold, "must be 1")
	}
}

func (c *podCheck) checkProbe(probe *corev1.Probe, p *field.Path) {
	c.checkHandler(handler{exec: probe.Exec, http: probe.HTTPGet, tcp: probe.TCPSocket, grpc: probe.GRPC}, p)
	for _, n := range [...]struct {
		name string
		n    int32
	}{
		{"initialDelaySeconds", probe.InitialDelaySeconds}, {"timeoutSeconds", probe.TimeoutSeconds}, {"periodSeconds", probe.PeriodSeconds},
		{"successThreshold", probe.SuccessThreshold}, {"failureThreshold", probe.FailureThreshold},
	} {
		if n.n < 0 {
			c.NotNegative(p.Child(n.name), int64(n.n))
		}
	}
	if g := probe.TerminationGracePeriodSeconds; g != nil && *g <= 0 {
		c.Invalid(p.Child("terminationGracePeriodSeconds"), *g, "must be greater than 0")
	}
}

func (c *podCheck) checkHook(h *corev1.LifecycleHandler, p *field.Path) {
	if h != nil {
		c.checkHandler(handler{exec: h.Exec, http: h.HTTPGet, tcp: h.TCPSocket, sleep: h.Sleep}, p)
	}
}

// handler is a probe's or a hook's way to do it: exactly one is set.
type handler struct {
	exec  *corev1.ExecAction
	http  *corev1.HTTPGetAction
	tcp   *corev1.TCPSocketAction
	grpc  *corev1.GRPCAction
	sleep *corev1.SleepAction
}

func (c *podCheck) checkHandler(h handler, p *field.Path) {
	found := false
	// first is true for the first one that is set, and adds an error for every other.
	first := func(set bool, name string) bool {
		if !set {
			return false
		}
		if found {
			c.Forbidden(p.Child(name), "may not specify more than 1 handler type")
			return false
		}
		found = true
		return true
	}
	if first(h.exec != nil, "exec") && len(h.exec.Command) == 0 {
		c.Required(p.Child("exec", "command"), "")
	}
	if first(h.http != nil, "httpGet") {
		c.checkHTTPGet(h.http, p.Child("httpGet"))
	}
	if first(h.tcp != nil, "tcpSocket") {
		c.checkPortOrName(h.tcp.Port, p.Child("tcpSocket", "port"))
	}
	if first(h.grpc != nil, "grpc") {
		c.checkPortOrName(intstr.FromInt32(h.grpc.Port), p.Child("grpc", "port"))
	}
	if first(h.sleep != nil, "sleep") {
		if g := c.spec.TerminationGracePeriodSeconds; g != nil && (h.sleep.Seconds < 0 || h.sleep.Seconds > *g) {
			c.Invalid(p.Child("sleep"), h.sleep.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *g))
		}
	}
	if !found {
		c.Required(p, "must specify a handler type")
	}
}

func (c *podCheck) checkHTTPGet(h *corev1.HTTPGetAction, p *field.Path) {
	c.Set(p.Child("path"), h.Path)
	c.checkPortOrName(h.Port, p.Child("port"))
	check.OneOf(&c.Errors, p.Child("scheme"), h.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)
	for _, header := range h.HTTPHeaders {
		c.Each(p.Child("httpHeaders"), header.Name, validation.IsHTTPHeaderName(header.Name))
	}
}

func (c *podCheck) checkPortOrName(port intstr.IntOrString, p *field.Path) {
	checkPortOrName(&c.Errors, port, p)
}

func checkPortOrName(f *check.Errors, port intstr.IntOrString, p *field.Path) {
	switch port.Type {
	case intstr.Int:
		f.Port(p, port.IntVal)
	case intstr.String:
		f.Each(p, port.StrVal, validation.IsValidPortName(port.StrVal))
	default:
		f.Add(field.InternalError(p, fmt.Errorf("unknown type: %v", port.Type)))
	}
}

func (c *podCheck) checkStopSignal(s corev1.Signal, p *field.Path) {
	switch os := c.spec.OS; {
	case os == nil:
		c.Forbidden(p, "may not be set for containers with empty `spec.os.name`")
	case os.Name == corev1.Windows:
		check.OneOf(&c.Errors, p, s, corev1.SIGKILL, corev1.SIGTERM)
	case os.Name == corev1.Linux:
		if signals := linuxSignals(); !signals.Has(s) {
			c.Add(field.NotSupported(p, s, sets.List(signals)))
		}
	}
}

var linuxSignals = sync.OnceValue(func() sets.Set[corev1.Signal] {
	all := sets.New(
		corev1.SIGABRT, corev1.SIGALRM, corev1.SIGBUS, corev1.SIGCHLD, corev1.SIGCLD, corev1.SIGCONT, corev1.SIGFPE, corev1.SIGHUP,
		corev1.SIGILL, corev1.SIGINT, corev1.SIGIO, corev1.SIGIOT, corev1.SIGKILL, corev1.SIGPIPE, corev1.SIGPOLL, corev1.SIGPROF,
		corev1.SIGPWR, corev1.SIGQUIT, corev1.SIGSEGV, corev1.SIGSTKFLT, corev1.SIGSTOP, corev1.SIGSYS, corev1.SIGTERM, corev1.SIGTRAP,
		corev1.SIGTSTP, corev1.SIGTTIN, corev1.SIGTTOU, corev1.SIGURG, corev1.SIGUSR1, corev1.SIGUSR2, corev1.SIGVTALRM, corev1.SIGWINCH,
		corev1.SIGXCPU, corev1.SIGXFSZ, corev1.SIGRTMIN, corev1.SIGRTMAX)
	for i := 1; i <= 15; i++ {
		all.Insert(corev1.Signal(fmt.Sprintf("SIGRTMIN+%d", i)))
		if i < 15 {
			all.Insert(corev1.Signal(fmt.Sprintf("SIGRTMAX-%d", i)))
		}
	}
	return all
})
