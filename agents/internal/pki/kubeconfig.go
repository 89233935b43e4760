package pki

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Kubeconfig writes a kubeconfig for user to file, mode 0600, with everything embedded: the gateway's URL, the
// authority of its certificate and the client's pair.
func Kubeconfig(file, server, user string, authority *Authority, client Pair) error {
	cert, err := os.ReadFile(client.CertFile)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(client.KeyFile)
	if err != nil {
		return err
	}
	const cluster = "gantry"
	context := user + "@" + cluster
	type named map[string]any
	text, err := yaml.Marshal(named{
		"apiVersion": "v1", "kind": "Config", "current-context": context,
		"clusters": []named{{"name": cluster, "cluster": named{"server": server, "certificate-authority-data": authority.PEM}}},
		"users":    []named{{"name": user, "user": named{"client-certificate-data": cert, "client-key-data": key}}},
		"contexts": []named{{"name": context, "context": named{"cluster": cluster, "user": user}}},
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return writeFile(file, text, 0o600)
}
