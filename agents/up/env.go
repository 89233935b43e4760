package up

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Env returns the environment in which etcdctl and kubectl find the cluster of a data directory, as sorted
// NAME=value.
func Env(dataDir string) ([]string, error) {
	all, err := lockInfos(dataDir)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no gantry has run with --data-dir %s", dataDir)
	}
	s := all[slices.Sorted(maps.Keys(all))[0]]
	vars := []string{
		"ETCDCTL_ENDPOINTS=" + strings.Join(s.EtcdServers, ","),
	}
	for name, file := range map[string]string{"ETCDCTL_CACERT": s.EtcdCAFile, "ETCDCTL_CERT": s.EtcdCertFile, "ETCDCTL_KEY": s.EtcdKeyFile} {
		if file != "" {
			vars = append(vars, name+"="+file)
		}
	}
	admin := Config{DataDir: dataDir}.AdminConf()
	if _, err := os.Stat(admin); err == nil {
		vars = append(vars, "KUBECONFIG="+admin)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	slices.Sort(vars)
	return vars, nil
}

// ThisNode returns the name of the node that a data directory's gantry is, or would be, and the address of its engine. Without one they are those of
// the defaults.
func ThisNode(dataDir string) (name, engine string) {
	all, _ := lockInfos(dataDir) // one that cannot be read says nothing
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if s := all[path]; s.Node {
			return s.NodeName, s.DockerHost
		}
	}
	hostname, _ := os.Hostname()
	return strings.ToLower(hostname), dockerHost("")
}
