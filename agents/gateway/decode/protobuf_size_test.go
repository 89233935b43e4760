package decode

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/schema"
)

func TestMessagesAreCounted(t *testing.T) {
	for _, tt := range []struct {
		name string
		pod  *corev1.Pod
		ok   bool
	}{
		{"few", &corev1.Pod{}, true},
		{"containers", &corev1.Pod{Spec: corev1.PodSpec{Containers: make([]corev1.Container, schema.MaxObjects)}}, false},
		{"variables", &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Env: make([]corev1.EnvVar, schema.MaxObjects)}}}}, false},
		{"volumes", &corev1.Pod{Spec: corev1.PodSpec{Volumes: make([]corev1.Volume, schema.MaxObjects)}}, false},
		{"texts", &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: make([]string, 3*schema.MaxObjects)}}}}, true},
		{"a long text", &corev1.Pod{Status: corev1.PodStatus{Message: string(make([]byte, 10*schema.MaxObjects))}}, true},
	} {
		data, err := tt.pod.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := checkMessages(data, &corev1.Pod{}); (err == nil) != tt.ok {
			t.Errorf("%s, %d bytes: error %v", tt.name, len(data), err)
		}
		for n := range 50 { // cut anywhere it is still the decoder's to judge
			_ = checkMessages(append(make([]byte, 0, len(data)), data[:len(data)*n/50]...), &corev1.Pod{})
		}
	}
}
