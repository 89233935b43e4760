package advertise

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
)

// publishCA keeps the CA of client certificates in kube-system/extension-apiserver-authentication, where extension servers read it.
func (c Config) publishCA(ctx context.Context) error {
	if len(c.ClusterCA) == 0 {
		return nil
	}
	const name, key = "extension-apiserver-authentication", "client-ca-file"
	all := registry.For[*corev1.ConfigMap](c.Registry)
	have, err := all.Cached(ctx, metav1.NamespaceSystem, name)
	switch {
	case errors.Is(err, registry.NotFound):
		_, err = all.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name}, Data: map[string]string{key: string(c.ClusterCA)},
		})
		if errors.Is(err, registry.Exists) {
			return nil
		}
	case err == nil && have.Data[key] != string(c.ClusterCA):
		_, err = all.Modify(ctx, metav1.NamespaceSystem, name, func(m *corev1.ConfigMap) error {
			if m.Data == nil {
				m.Data = map[string]string{}
			}
			m.Data[key] = string(c.ClusterCA)
			return nil
		})
	}
	return wrap("publishing the CA of clients", err)
}
