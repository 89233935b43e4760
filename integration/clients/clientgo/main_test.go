package clientgo

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"gantry/integration/clients/cluster"
)

var plane *cluster.Cluster

func TestMain(m *testing.M) {
	cluster.Main(m, func() (stop func(), err error) {
		if plane, err = cluster.StartPlane(); err != nil {
			return nil, err
		}
		return plane.Stop, nil
	})
}

// makeMap creates a config map with the label made=here.
func makeMap(t *testing.T, set kubernetes.Interface, namespace, name string) *corev1.ConfigMap {
	t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"made": "here"}}, Data: map[string]string{"n": "0"}}
	cm, err := set.CoreV1().ConfigMaps(namespace).Create(t.Context(), cm, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return cm
}

// until waits until check is true.
func until(t *testing.T, what string, check func() bool) {
	t.Helper()
	cluster.Until(t, func(context.Context) string {
		if check() {
			return ""
		}
		return "waiting for " + what
	})
}
