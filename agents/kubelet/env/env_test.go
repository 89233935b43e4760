package env

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExpand(t *testing.T) {
	value := func(name string) (string, bool) { return "<" + name + ">", name != "NONE" }
	for in, want := range map[string]string{
		"":              "",
		"plain":         "plain",
		"$(A)":          "<A>",
		"x$(A)y$(B)z":   "x<A>y<B>z",
		"$$(A)":         "$(A)",
		"$$$(A)":        "$<A>",
		"$(NONE)":       "$(NONE)",
		"$(A":           "$(A",
		"$":             "$",
		"a$":            "a$",
		"$A":            "$A",
		"$(A)$(NONE)$$": "<A>$(NONE)$",
	} {
		if got := Expand(in, value); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestServiceEnv(t *testing.T) {
	service := func(ns, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
	}
	all := []*corev1.Service{
		service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP}),
		service("shop", "data-base", "10.96.0.9", corev1.ServicePort{Name: "sql-main", Port: 5432, Protocol: corev1.ProtocolTCP}),
		service("shop", "headless", "None", corev1.ServicePort{Port: 1}),
		service("other", "x", "10.96.0.10", corev1.ServicePort{Port: 1}),
	}
	api := map[string]string{
		"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
		"KUBERNETES_PORT": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
		"KUBERNETES_PORT_443_TCP_PROTO": "tcp", "KUBERNETES_PORT_443_TCP_PORT": "443", "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
	}
	linked := map[string]string{
		"DATA_BASE_SERVICE_HOST": "10.96.0.9", "DATA_BASE_SERVICE_PORT": "5432", "DATA_BASE_SERVICE_PORT_SQL_MAIN": "5432",
		"DATA_BASE_PORT": "tcp://10.96.0.9:5432", "DATA_BASE_PORT_5432_TCP": "tcp://10.96.0.9:5432",
		"DATA_BASE_PORT_5432_TCP_PROTO": "tcp", "DATA_BASE_PORT_5432_TCP_PORT": "5432", "DATA_BASE_PORT_5432_TCP_ADDR": "10.96.0.9",
	}
	for k, v := range api {
		linked[k] = v
	}
	pod := &corev1.Pod{}
	pod.Namespace = "shop"
	if d := cmp.Diff(linked, ServiceVariables(pod, all)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	no := false
	pod.Spec.EnableServiceLinks = &no
	if d := cmp.Diff(api, ServiceVariables(pod, all)); d != "" {
		t.Errorf("without links (-want +got):\n%s", d)
	}
}
