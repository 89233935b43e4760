package stream

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/agents/gateway/request"
)

// connectOptions are the parameters of a connection as the object that admission sees.
func connectOptions(r *request.Request) runtime.Object {
	o := r.Sub.Options()
	flag := func(name string) bool { return request.Flag(r.Query, name) }
	o.GetObjectKind().SetGroupVersionKind(r.Sub.Body.GVK())
	switch o := o.(type) {
	case *corev1.PodExecOptions:
		o.Stdin, o.Stdout, o.Stderr, o.TTY = flag("stdin"), flag("stdout"), flag("stderr"), flag("tty")
		o.Container, o.Command = r.Query.Get("container"), r.Query["command"]
	case *corev1.PodAttachOptions:
		o.Stdin, o.Stdout, o.Stderr, o.TTY = flag("stdin"), flag("stdout"), flag("stderr"), flag("tty")
		o.Container = r.Query.Get("container")
	case *corev1.PodProxyOptions:
		o.Path = r.Rest
	case *corev1.ServiceProxyOptions:
		o.Path = r.Rest
	case *corev1.NodeProxyOptions:
		o.Path = r.Rest
	case *corev1.PodPortForwardOptions:
		for _, text := range r.Query["ports"] {
			if port, err := strconv.ParseInt(text, 10, 32); err == nil {
				o.Ports = append(o.Ports, int32(port))
			}
		}
	}
	return o
}
