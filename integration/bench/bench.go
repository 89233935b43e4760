package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// bench is the processes that are measured, and how they are reached.
type bench struct {
	options
	dir   string
	tls   *tls.Config
	plane *child
	api   string // host:port
	etcd  *clientv3.Client
	pool  []*h2 // connections to the plane

	floor     *child
	floorAddr string
	floorPool []*h2

	node *node // nil until a row starts pods

	seeded  *seededPods
	bound   *boundUser // nil until a row needs it
	guarded bool       // the guarded namespace is made
	// proxied are the control planes of the proxy's rows, by the number of Services.
	proxied map[int]*proxied
	notes   map[string]string
}

// open starts both children.
func (b *bench) open() (err error) {
	b.notes = map[string]string{}
	if b.plane, b.api, err = b.startPlane(filepath.Join(b.dir, "plane"), controlPlane); err != nil {
		return err
	}
	if b.tls, err = clientTLS(filepath.Join(b.dir, "plane")); err != nil {
		return err
	}
	if b.pool, err = dialAll(b.api, b.tls, b.conns); err != nil {
		return err
	}
	if err := b.waitForAccount(b.pool[0]); err != nil {
		return err
	}
	me, err := os.Executable()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	b.floorAddr = "127.0.0.1:" + strconv.Itoa(port)
	if b.floor, err = startChild(time.Minute, "floor ready", me, "-floor", filepath.Join(b.dir, "plane"), b.floorAddr); err != nil {
		return err
	}
	b.floorPool, err = dialAll(b.floorAddr, b.tls, b.conns)
	return err
}

func (b *bench) close() error {
	for _, p := range b.proxied {
		p.close()
	}
	b.floor.end()
	b.plane.end()
	return b.node.remove(b.gantry)
}

const controlPlane = "gateway,controllers"

// startPlane starts agents and an embedded etcd on a data directory, new or not.
func (b *bench) startPlane(dir, agents string, flags ...string) (*child, string, error) {
	secure, err := freePort()
	if err != nil {
		return nil, "", err
	}
	etcd, err := freePort()
	if err != nil {
		return nil, "", err
	}
	flags = append([]string{"up", "--agents", agents, "--data-dir", dir,
		"--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(secure), "--etcd-port", strconv.Itoa(etcd), "--node-name", "bench"}, flags...)
	c, err := startChild(5*time.Minute, "gantry ready", b.gantry, flags...)
	if err != nil {
		return nil, "", err
	}
	client, err := etcdClient(dir, etcd)
	if err != nil {
		c.end()
		return nil, "", err
	}
	if b.etcd != nil {
		b.etcd.Close()
	}
	b.etcd = client
	return c, "127.0.0.1:" + strconv.Itoa(secure), nil
}

// clientTLS is the admin's, from a data directory.
func clientTLS(dir string) (*tls.Config, error) {
	return tlsFrom(filepath.Join(dir, "pki", "ca.crt"), filepath.Join(dir, "pki", "admin"))
}

func tlsFrom(caFile, pair string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(pair+".crt", pair+".key")
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

func etcdClient(dir string, port int) (*clientv3.Client, error) {
	etcd := filepath.Join(dir, "pki", "etcd")
	conf, err := tlsFrom(filepath.Join(etcd, "ca.crt"), filepath.Join(etcd, "client"))
	if err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{Endpoints: []string{fmt.Sprintf("https://127.0.0.1:%d", port)}, TLS: conf, DialTimeout: 5 * time.Second})
}

// waitForAccount waits until pods may be created.
func (b *bench) waitForAccount(c *h2) error {
	for range 600 {
		res, err := c.do(&request{method: "GET", path: "/api/v1/namespaces/default/serviceaccounts/default"})
		if err != nil {
			return err
		}
		if res.status == 200 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the default service account was not made")
}

// measure runs a row for a round, its floor first.
func (b *bench) measure(r *row, round int, results map[*row]*series) error {
	for range max(1, r.repeat) {
		if err := b.measureOnce(r, round, results); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measureOnce(r *row, round int, results map[*row]*series) error {
	s := results[r]
	if s == nil {
		s = &series{}
		results[r] = s
	}
	if r.floor != nil {
		f, err := r.floor(b)
		if err != nil {
			return fmt.Errorf("its floor: %w", err)
		}
		s.floor = append(s.floor, f)
	}
	stop := b.startProfile(r, round)
	m, err := r.run(b)
	stop()
	if err != nil {
		return err
	}
	s.own = append(s.own, m)
	log.Printf("%-20s round %d: %s", r.name, round+1, m)
	return nil
}

// startProfile takes a CPU profile of the control plane while a row runs in the first round.
func (b *bench) startProfile(r *row, round int) (stop func()) {
	if b.profile == "" || round > 0 {
		return func() {}
	}
	api, conf := b.api, b.tls
	if r.node {
		n, err := b.startNode()
		if err != nil {
			return func() {} // the row returns the error
		}
		api, conf = n.api, n.tls
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := dial(api, conf)
		if err != nil {
			return
		}
		defer c.close()
		seconds := max(1, int(b.length.Seconds()))
		res, err := c.do(&request{method: "GET", path: "/debug/pprof/profile?seconds=" + strconv.Itoa(seconds), keep: true})
		if err == nil && res.status == 200 {
			err = os.WriteFile(filepath.Join(b.profile, strings.ReplaceAll(r.name, "/", "-")+".pprof"), res.body, 0o644)
		}
		if err != nil || res.status != 200 {
			log.Printf("no profile of %s: %v %v", r.name, res, err)
		}
	}()
	return func() { <-done }
}

func timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 30*time.Second)
}
