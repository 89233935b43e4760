package advertise

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"gantry/agents/internal/bootstraptoken"
	"gantry/registry"
)

// publishClusterInfo makes kube-public/cluster-info where it is absent: a kubeconfig with the gateway's address and CA, for machines that join.
// One that is there stays as it is: an administrator may have set the address of a load balancer.
func (c Config) publishClusterInfo(ctx context.Context) error {
	if len(c.ClusterCA) == 0 {
		return nil
	}
	all := registry.For[*corev1.ConfigMap](c.Registry)
	_, err := all.Cached(ctx, metav1.NamespacePublic, bootstraptoken.ClusterInfo)
	if !errors.Is(err, registry.NotFound) {
		return wrap("reading the cluster's information", err)
	}
	type object map[string]any
	text, err := yaml.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "preferences": object{}, "current-context": "", "contexts": nil, "users": nil,
		"clusters": []object{{"name": "", "cluster": object{"server": "https://" + c.Address.String(), "certificate-authority-data": c.ClusterCA}}},
	})
	if err != nil {
		return err
	}
	_, err = all.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespacePublic, Name: bootstraptoken.ClusterInfo},
		Data:       map[string]string{bootstraptoken.KubeconfigKey: string(text)},
	})
	if errors.Is(err, registry.Exists) {
		return nil
	}
	return wrap("publishing the cluster's information", err)
}
