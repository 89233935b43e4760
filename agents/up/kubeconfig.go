package up

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"sigs.k8s.io/yaml"

	"gantry/agents/internal/pki"
)

// UserKubeconfig makes a kubeconfig for a user in groups, with a fresh key and a certificate for a year, which the authority of a data directory
// signs. server is the gateway's URL; "": the one in admin.conf. Nothing is stored: what the user may do is up to roles.
func UserKubeconfig(dataDir, user string, groups []string, server string) ([]byte, error) {
	if user == "" || slices.Contains(groups, "") {
		return nil, errors.New("a user and the groups have names")
	}
	c := Config{DataDir: dataDir}
	if server == "" {
		var err error
		if server, err = serverOf(c.AdminConf()); err != nil {
			return nil, fmt.Errorf("finding the gateway, which --server can name: %w", err)
		}
	}
	authority, err := pki.OpenAuthority(c.path("pki"), "", false)
	if err != nil {
		return nil, err
	}
	cert, key, err := authority.Issue(pki.Request{CommonName: user, Organizations: groups})
	if err != nil {
		return nil, err
	}
	return pki.KubeconfigText(server, user, authority, cert, key)
}

// serverOf is the URL of the first cluster of a kubeconfig.
func serverOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var conf struct {
		Clusters []struct{ Cluster struct{ Server string } }
	}
	if err := yaml.Unmarshal(text, &conf); err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	if len(conf.Clusters) == 0 {
		return "", fmt.Errorf("reading %s: no cluster is in it", file)
	}
	return conf.Clusters[0].Cluster.Server, nil
}
