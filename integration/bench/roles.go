package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"
)

// boundUser is a user who may create pods in the namespace default by one of many bindings.
type boundUser struct{ pool []*h2 }

const manyBindings = 10_000

// bindUser puts the bindings into etcd once: of one role, for a user and a team each, ten in a namespace.
func (b *bench) bindUser() (*boundUser, error) {
	if b.bound != nil {
		return b.bound, nil
	}
	put := func(i int, namespace, user string) error {
		value, err := json.Marshal(map[string]any{
			"kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1",
			"metadata": map[string]any{"name": fmt.Sprintf("team-%d", i%10), "namespace": namespace, "uid": fmt.Sprintf("00000000-0000-4000-9000-%012d", i), "creationTimestamp": "2026-11-21T10:00:00Z"},
			"subjects": []map[string]any{
				{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user},
				{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "team:" + namespace},
			},
			"roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
		})
		if err != nil {
			return err
		}
		_, err = b.etcd.Put(context.Background(), fmt.Sprintf("/registry/rolebindings/%s/team-%d", namespace, i%10), string(value))
		return err
	}
	for i := range manyBindings {
		if err := put(i, fmt.Sprintf("bound-%d", i/10), fmt.Sprintf("user-%d", i)); err != nil {
			return nil, err
		}
	}
	const user = "bench-user"
	if err := put(manyBindings, "default", user); err != nil {
		return nil, err
	}
	conf, err := b.userTLS(user, "team:bound-1", "team:bound-2")
	if err != nil {
		return nil, err
	}
	bound := &boundUser{}
	if bound.pool, err = dialAll(b.api, conf, b.conns); err != nil {
		return nil, err
	}
	for range 600 { // the gateway follows the bindings
		res, err := bound.pool[0].do(&request{method: "POST", path: podsPath + "?dryRun=All", contentType: "application/json", body: podBody("bound", nil)})
		if err != nil {
			return nil, err
		}
		if res.status == 201 {
			b.bound = bound
			return bound, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, errors.New("the user with a role may not create pods after a minute")
}

// userTLS is what a user shows: the certificate that `gantry kubeconfig` makes.
func (b *bench) userTLS(user string, groups ...string) (*tls.Config, error) {
	args := []string{"kubeconfig", "--data-dir", filepath.Join(b.dir, "plane")}
	for _, g := range groups {
		args = append(args, "--group", g)
	}
	text, err := exec.Command(b.gantry, append(args, user)...).Output()
	if err != nil {
		return nil, fmt.Errorf("gantry kubeconfig: %w", err)
	}
	var conf struct {
		Clusters []struct {
			Cluster struct {
				CA []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(text, &conf); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(conf.Users[0].User.Cert, conf.Users[0].User.Key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(conf.Clusters[0].Cluster.CA)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// createPodsByRole is createPods as that user.
func createPodsByRole(b *bench) (measurement, error) {
	bound, err := b.bindUser()
	if err != nil {
		return measurement{}, err
	}
	return b.createPods(bound.pool)
}

// createPodsAsAdmin is createPods beside the same bindings.
func createPodsAsAdmin(b *bench) (measurement, error) {
	if _, err := b.bindUser(); err != nil {
		return measurement{}, err
	}
	return b.createPods(b.pool)
}
