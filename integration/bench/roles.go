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
	for i, namespace := range []string{"default", guardedNamespace} {
		if err := put(manyBindings+i, namespace, user); err != nil {
			return nil, err
		}
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
	return b.createPods(bound.pool, podsPath)
}

// createPodsAsAdmin is createPods beside the same bindings.
func createPodsAsAdmin(b *bench) (measurement, error) {
	if _, err := b.bindUser(); err != nil {
		return measurement{}, err
	}
	return b.createPods(b.pool, podsPath)
}

const guardedNamespace = "guarded"

// guard makes a namespace whose pods are counted by a quota, bounded by a limit range and held against a security standard, once.
func (b *bench) guard() error {
	if b.guarded {
		return nil
	}
	for _, o := range [][2]string{
		{"/api/v1/namespaces", `{"metadata":{"name":"guarded","labels":{"pod-security.kubernetes.io/enforce":"baseline"}}}`},
		{"/api/v1/namespaces/guarded/resourcequotas", `{"metadata":{"name":"q"},"spec":{"hard":{"pods":"1000000","requests.cpu":"1000000","requests.memory":"1000Ti"}}}`},
		{"/api/v1/namespaces/guarded/limitranges", `{"metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","max":{"memory":"100Gi"},"default":{"memory":"1Gi"}}]}}`},
		{"/api/v1/namespaces/guarded/serviceaccounts", `{"metadata":{"name":"default"}}`},
	} {
		res, err := b.pool[0].do(&request{method: "POST", path: o[0], contentType: "application/json", body: []byte(o[1])})
		if err != nil {
			return err
		}
		if res.status != 201 && res.status != 409 { // a controller may have made it
			return fmt.Errorf("POST of %s: %d", o[0], res.status)
		}
	}
	for range 600 { // the quota's controller counts first
		res, err := b.bound.pool[0].do(&request{method: "POST", path: "/api/v1/namespaces/guarded/pods?dryRun=All", contentType: "application/json", body: podBody("guarded", nil)})
		if err != nil {
			return err
		}
		if res.status == 201 {
			b.guarded = true
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("no pod can be created in the guarded namespace after a minute")
}

// createPodsGuarded is createPods as the user with a role, in the guarded namespace.
func createPodsGuarded(b *bench) (measurement, error) {
	bound, err := b.bindUser()
	if err != nil {
		return measurement{}, err
	}
	if err := b.guard(); err != nil {
		return measurement{}, err
	}
	return b.createPods(bound.pool, "/api/v1/namespaces/guarded/pods")
}
