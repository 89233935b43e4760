package pki

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Kubeconfig writes the KubeconfigText of a pair to file, mode 0600.
func Kubeconfig(file, server, user string, authority *Authority, client Pair) error {
	cert, err := os.ReadFile(client.CertFile)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(client.KeyFile)
	if err != nil {
		return err
	}
	text, err := KubeconfigText(server, user, authority, cert, key)
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return writeFile(file, text, 0o600)
}

// KubeconfigText is a kubeconfig for user with everything embedded: the gateway's URL, the authority of its certificate, and the client's
// certificate and key in PEM.
func KubeconfigText(server, user string, authority *Authority, cert, key []byte) ([]byte, error) {
	const cluster = "gantry"
	context := user + "@" + cluster
	type named map[string]any
	return yaml.Marshal(named{
		"apiVersion": "v1", "kind": "Config", "current-context": context,
		"clusters": []named{{"name": cluster, "cluster": named{"server": server, "certificate-authority-data": authority.PEM}}},
		"users":    []named{{"name": user, "user": named{"client-certificate-data": cert, "client-key-data": key}}},
		"contexts": []named{{"name": context, "context": named{"cluster": cluster, "user": user}}},
	})
}
