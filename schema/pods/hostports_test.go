package pods

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestHostPorts(t *testing.T) {
	port := func(n int32) []corev1.ContainerPort { return []corev1.ContainerPort{{HostPort: n, ContainerPort: 1}} }
	spec := &corev1.PodSpec{
		InitContainers: []corev1.Container{{Ports: port(1)}, {Ports: port(2), RestartPolicy: always()}},
		Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
			{ContainerPort: 80}, {HostPort: -1}, {HostPort: 3, HostIP: "0.0.0.0", Protocol: corev1.ProtocolUDP},
			{HostPort: 4, HostIP: "::"}, {HostPort: 5, HostIP: "10.0.0.1", Protocol: corev1.ProtocolTCP},
		}}},
	}
	want := []HostPort{
		{"", corev1.ProtocolTCP, 2}, {"", corev1.ProtocolUDP, 3}, {"", corev1.ProtocolTCP, 4}, {"10.0.0.1", corev1.ProtocolTCP, 5},
	}
	if diff := cmp.Diff(want, HostPorts(spec)); diff != "" {
		t.Errorf("host ports (-want +got):\n%s", diff)
	}
}

func TestHostPortConflicts(t *testing.T) {
	any80 := HostPort{"", corev1.ProtocolTCP, 80}
	a80, b80 := HostPort{"10.0.0.1", corev1.ProtocolTCP, 80}, HostPort{"10.0.0.2", corev1.ProtocolTCP, 80}
	tests := []struct {
		name string
		p, q HostPort
		want bool
	}{
		{"the same", any80, any80, true},
		{"every address and one", any80, a80, true},
		{"the same address", a80, a80, true},
		{"two addresses", a80, b80, false},
		{"another port", any80, HostPort{"", corev1.ProtocolTCP, 81}, false},
		{"another protocol", any80, HostPort{"", corev1.ProtocolUDP, 80}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.p.ConflictsWith(tt.q) != tt.want || tt.q.ConflictsWith(tt.p) != tt.want {
				t.Errorf("%v and %v: want %v both ways", tt.p, tt.q, tt.want)
			}
		})
	}
}
