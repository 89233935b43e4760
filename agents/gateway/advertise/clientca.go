package advertise

import (
	"bytes"
	"context"
	"errors"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/extensionclient"
	"gantry/registry"
)

// The keys of kube-system/extension-apiserver-authentication that hold CAs.
const (
	clientCAKey     = "client-ca-file"
	frontProxyCAKey = "requestheader-client-ca-file"
)

// publishCAs keeps in kube-system/extension-apiserver-authentication what extension servers authenticate requests by: the CA of client
// certificates, and the CA and the headers of the front proxy.
func (c Config) publishCAs(ctx context.Context) error {
	if len(c.ClusterCA) == 0 && len(c.FrontProxyCA) == 0 {
		return nil
	}
	const name = "extension-apiserver-authentication"
	all := registry.For[*corev1.ConfigMap](c.Registry)
	have, err := all.Cached(ctx, metav1.NamespaceSystem, name)
	switch {
	case errors.Is(err, registry.NotFound):
		_, err = all.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name}, Data: c.published(nil)})
		if errors.Is(err, registry.Exists) {
			return nil
		}
	case err == nil && !maps.Equal(have.Data, c.published(have.Data)):
		_, err = all.Modify(ctx, metav1.NamespaceSystem, name, func(m *corev1.ConfigMap) error {
			m.Data = c.published(m.Data)
			return nil
		})
	}
	return wrap("publishing the CAs of clients", err)
}

// published is data with what this gateway publishes. Each gateway may have a front proxy's CA of its own: all are kept.
func (c Config) published(data map[string]string) map[string]string {
	out := maps.Clone(data)
	if out == nil {
		out = map[string]string{}
	}
	if len(c.ClusterCA) > 0 {
		out[clientCAKey] = string(c.ClusterCA)
	}
	if len(c.FrontProxyCA) == 0 {
		return out
	}
	if had := []byte(out[frontProxyCAKey]); !bytes.Contains(had, bytes.TrimSpace(c.FrontProxyCA)) {
		out[frontProxyCAKey] = string(bytes.TrimLeft(append(append(bytes.TrimSpace(had), '\n'), c.FrontProxyCA...), "\n"))
	}
	list := func(name string) string { return `["` + name + `"]` }
	out["requestheader-allowed-names"] = list(extensionclient.CommonName)
	out["requestheader-username-headers"] = list(extensionclient.UserHeader)
	out["requestheader-uid-headers"] = list(extensionclient.UIDHeader)
	out["requestheader-group-headers"] = list(extensionclient.GroupHeader)
	out["requestheader-extra-headers-prefix"] = list(extensionclient.ExtraPrefix)
	return out
}
