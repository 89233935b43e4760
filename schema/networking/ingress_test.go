package networking

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/internal/checktest"
)

const (
	subdomainRule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	labelRule     = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
	wildcardRule  = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)

var now = metav1.NewTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

func ptr[T any](v T) *T { return &v }

func service(name string, port int32) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: name, Port: networkingv1.ServiceBackendPort{Number: port}}}
}

// newIngress has one rule with one path.
func newIngress() *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", CreationTimestamp: now},
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: "a.example.com", IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: ptr(networkingv1.PathTypePrefix), Backend: service("web", 80)}}},
		}}}},
	}
}

func firstPath(in *networkingv1.Ingress) *networkingv1.HTTPIngressPath {
	return &in.Spec.Rules[0].HTTP.Paths[0]
}

func TestIngressErrors(t *testing.T) {
	const path, backend = "spec.rules[0].http.paths[0]", "spec.rules[0].http.paths[0].backend"
	checktest.Create(t, Ingress, newIngress, []checktest.Case[*networkingv1.Ingress]{
		{Name: "valid"},
		{"empty", func(in *networkingv1.Ingress) { in.Spec = networkingv1.IngressSpec{} }, []string{"spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"}},
		{"default backend alone", func(in *networkingv1.Ingress) {
			b := service("1-web", 80)
			in.Spec = networkingv1.IngressSpec{DefaultBackend: &b}
		}, nil},
		{"hosts", func(in *networkingv1.Ingress) {
			in.Spec.Rules = []networkingv1.IngressRule{{Host: "10.0.0.1"}, {Host: "*.example.com"}, {Host: "*"}, {Host: "A"}}
		}, []string{
			`spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address`,
			`spec.rules[2].host: Invalid value: "*": ` + wildcardRule,
			`spec.rules[3].host: Invalid value: "A": ` + subdomainRule,
		}},
		{"no paths", func(in *networkingv1.Ingress) { in.Spec.Rules[0].HTTP.Paths = nil }, []string{"spec.rules[0].http.paths: Required value"}},
		{"no path type", func(in *networkingv1.Ingress) { firstPath(in).PathType = nil }, []string{path + ".pathType: Required value: pathType must be specified"}},
		{"path type", func(in *networkingv1.Ingress) { firstPath(in).PathType = ptr(networkingv1.PathType("x")) }, []string{path + `.pathType: Unsupported value: "x": supported values: "Exact", "ImplementationSpecific", "Prefix"`}},
		{"path", func(in *networkingv1.Ingress) { firstPath(in).Path = "a//b/./%2f/.." }, []string{
			path + `.path: Invalid value: "a//b/./%2f/..": must be an absolute path`,
			path + `.path: Invalid value: "a//b/./%2f/..": must not contain '//'`,
			path + `.path: Invalid value: "a//b/./%2f/..": must not contain '/./'`,
			path + `.path: Invalid value: "a//b/./%2f/..": must not contain '%2f'`,
			path + `.path: Invalid value: "a//b/./%2f/..": cannot end with '/..'`,
		}},
		{"path of the implementation", func(in *networkingv1.Ingress) {
			firstPath(in).PathType, firstPath(in).Path = ptr(networkingv1.PathTypeImplementationSpecific), "//a"
			in.Spec.Rules[0].HTTP.Paths = append(in.Spec.Rules[0].HTTP.Paths, *firstPath(in), *firstPath(in))
			in.Spec.Rules[0].HTTP.Paths[1].Path, in.Spec.Rules[0].HTTP.Paths[2].Path = "", "x"
		}, []string{`spec.rules[0].http.paths[2].path: Invalid value: "x": must be an absolute path`}},
		{"no backend", func(in *networkingv1.Ingress) { firstPath(in).Backend.Service = nil }, []string{backend + `: Invalid value: "": resource or service backend is required`}},
		{"two backends", func(in *networkingv1.Ingress) { firstPath(in).Backend.Resource = &corev1.TypedLocalObjectReference{} }, []string{backend + `: Invalid value: "": cannot set both resource and service backends`}},
		{"resource", func(in *networkingv1.Ingress) {
			firstPath(in).Backend = networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{APIGroup: ptr("A"), Kind: "a/b"}}
		}, []string{
			backend + `.resource.apiGroup: Invalid value: "A": ` + subdomainRule,
			backend + `.resource.kind: Invalid value: "a/b": may not contain '/'`,
			backend + ".resource.name: Required value",
		}},
		{"service", func(in *networkingv1.Ingress) { firstPath(in).Backend = service("", 0) }, []string{
			backend + ".service.name: Required value", backend + ": Required value: port name or number is required",
		}},
		{"service's name and port", func(in *networkingv1.Ingress) { firstPath(in).Backend = service("A", 65536) }, []string{
			backend + `.service.name: Invalid value: "A": ` + labelRule,
			backend + `.service.port.number: Invalid value: 65536: must be between 1 and 65535, inclusive`,
		}},
		{"port's name", func(in *networkingv1.Ingress) {
			firstPath(in).Backend.Service.Port = networkingv1.ServiceBackendPort{Name: "1"}
		},
			[]string{backend + `.service.port.name: Invalid value: "1": must contain at least one letter (a-z)`}},
		{"two ports", func(in *networkingv1.Ingress) { firstPath(in).Backend.Service.Port.Name = "a" }, []string{backend + `: Invalid value: "": cannot set both port name & port number`}},
		{"tls", func(in *networkingv1.Ingress) {
			in.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"*.b", "*", "A"}, SecretName: "_"}}
		}, []string{
			`spec.tls[0].hosts[1]: Invalid value: "*": ` + wildcardRule,
			`spec.tls[0].hosts[2]: Invalid value: "A": ` + subdomainRule,
			`spec.tls[0].secretName: Invalid value: "_": ` + subdomainRule,
		}},
		{"class", func(in *networkingv1.Ingress) {
			in.Spec.IngressClassName, in.Annotations = ptr("A"), map[string]string{classAnnotation: "b"}
		}, []string{
			`spec.ingressClassName: Invalid value: "A": ` + subdomainRule,
			`annotations.kubernetes.io/ingress.class: Invalid value: "b": must match ` + "`ingressClassName` when both are specified",
		}},
	})
}

func TestIngressUpdates(t *testing.T) {
	bad := func() *networkingv1.Ingress {
		in := newIngress()
		in.Spec.Rules[0].Host = "*.example.com"
		firstPath(in).PathType = nil
		in.Spec.TLS = []networkingv1.IngressTLS{{SecretName: "_"}}
		in.Annotations, in.Spec.IngressClassName = map[string]string{classAnnotation: "b"}, ptr("c")
		return in
	}
	checktest.Update(t, Ingress, bad, []checktest.Case[*networkingv1.Ingress]{
		{"what was there may stay", func(in *networkingv1.Ingress) { in.Labels = map[string]string{"a": "b"} }, nil},
		{"other rules are checked", func(in *networkingv1.Ingress) { in.Spec.Rules[0].Host = "" }, []string{"spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"}},
	})
	old := newIngress()
	old.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "10.0.0.1"}}
	old.Generation = 4
	same, changed := newIngress(), newIngress()
	same.Labels, changed.Spec.IngressClassName = map[string]string{"a": "b"}, ptr("x")
	Ingress.PrepareUpdate(same, old)
	Ingress.PrepareUpdate(changed, old)
	if same.Generation != 4 || changed.Generation != 5 || len(same.Status.LoadBalancer.Ingress) != 1 {
		t.Errorf("generations %d and %d, status %+v", same.Generation, changed.Generation, same.Status)
	}
	if Ingress.PrepareCreate(changed); changed.Generation != 1 || changed.Status.LoadBalancer.Ingress != nil {
		t.Errorf("after create: %+v", changed)
	}
}

func TestIngressStatus(t *testing.T) {
	known := func() *networkingv1.Ingress {
		in := newIngress()
		in.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "010.0.0.1"}}
		return in
	}
	checktest.Part(t, Ingress, "status", known, []checktest.Case[*networkingv1.Ingress]{
		{Name: "known"},
		{"addresses", func(in *networkingv1.Ingress) {
			in.Status.LoadBalancer.Ingress = append(in.Status.LoadBalancer.Ingress, networkingv1.IngressLoadBalancerIngress{IP: "x"}, networkingv1.IngressLoadBalancerIngress{Hostname: "10.0.0.1"})
		}, []string{
			`status.loadBalancer.ingress[1].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
			`status.loadBalancer.ingress[2].hostname: Invalid value: "10.0.0.1": must be a DNS name, not an IP address`,
		}},
	})
	obj, old := newIngress(), newIngress()
	obj.Spec.IngressClassName = ptr("x")
	obj.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "FD00::1"}}
	status := Ingress.Subresource("status")
	if status.Prepare(obj, old); obj.Spec.IngressClassName != nil || len(obj.Status.LoadBalancer.Ingress) != 1 {
		t.Errorf("after a write of the status: %+v", obj)
	}
	want := []string{`status.loadBalancer.ingress[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")`}
	if diff := cmp.Diff(want, status.Warnings(obj, old)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestIngressWarnings(t *testing.T) {
	in := newIngress()
	in.Annotations = map[string]string{classAnnotation: "b"}
	want := []string{`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`}
	if diff := cmp.Diff(want, Ingress.Warnings(in, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Ingress.Warnings(in, in); got != nil {
		t.Errorf("warnings of an update: %q", got)
	}
}

func TestIngressRow(t *testing.T) {
	hosts := func(names ...string) *networkingv1.Ingress {
		in := newIngress()
		in.Spec.Rules = nil
		for _, name := range names {
			in.Spec.Rules = append(in.Spec.Rules, networkingv1.IngressRule{Host: name})
		}
		return in
	}
	full := hosts("a", "b", "c", "", "d")
	full.Spec.IngressClassName, full.Spec.TLS = ptr("nginx"), make([]networkingv1.IngressTLS, 1)
	full.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "10.0.0.2"}, {IP: "10.0.0.1", Hostname: "x"}, {Hostname: "lb"}, {IP: "10.0.0.2"}}
	for _, tt := range []struct {
		name string
		in   *networkingv1.Ingress
		want []any
	}{
		{"full", full, []any{"web", "nginx", "a,b,c + 2 more...", "10.0.0.1,10.0.0.2,lb", "80, 443", "0s"}},
		{"three hosts", hosts("a", "b", "c"), []any{"web", "<none>", "a,b,c", "", "80", "0s"}},
		{"no host", hosts(""), []any{"web", "<none>", "*", "", "80", "0s"}},
	} {
		if diff := cmp.Diff(tt.want, Ingress.Row(tt.in, now)); diff != "" {
			t.Errorf("%s: cells (-want +got):\n%s", tt.name, diff)
		}
	}
}
