package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// settledRSS is the resident memory of the control plane's own after a moment of rest, in bytes.
func (b *bench) settledRSS() int64 {
	time.Sleep(3 * time.Second)
	own, _ := b.plane.rss()
	return own
}

// memory is what one cached pod costs, from the growth of the resident memory while the pods came in.
func memory(b *bench) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	each := float64(f.full-f.idle) / float64(b.pods)
	return measurement{unit: "bytes/pod", value: each, note: fmt.Sprintf(
		"%.1f x its %d bytes of JSON; idle %d MB, with %d pods %d MB", each/float64(f.size), f.size, f.idle>>20, b.pods, f.full>>20)}, nil
}

// start measures the start of agents on n pods, until they have answered a list.
func start(n int, agents string) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		own := &bench{options: b.options, dir: filepath.Join(b.dir, fmt.Sprintf("start-%d", n)), tls: b.tls}
		if err := os.MkdirAll(own.dir, 0o700); err != nil {
			return measurement{}, err
		}
		defer os.RemoveAll(own.dir)
		if err := own.prepare(n); err != nil {
			return measurement{}, err
		}
		dir := filepath.Join(own.dir, "plane")
		began := time.Now()
		c, addr, err := own.startPlane(dir, agents)
		if err != nil {
			return measurement{}, err
		}
		defer c.end()
		ready := time.Since(began)
		conn, err := dial(addr, own.tls)
		if err != nil {
			return measurement{}, err
		}
		defer conn.close()
		res, err := conn.want(200, &request{method: "GET", path: "/api/v1/pods?labelSelector=tier%3Dspecial"})
		if err != nil {
			return measurement{}, err
		}
		m := measurement{unit: "s", value: time.Since(began).Seconds()}
		cpu := c.cpu()
		time.Sleep(3 * time.Second)
		anon, files := c.rss()
		m.note = fmt.Sprintf("ready after %v, CPU %v, 3 s later %d MB resident and %d MB of files, the list %d KB",
			short(ready), short(cpu), anon>>20, files>>20, res.size/1000)
		return m, nil
	}
}

// prepare makes a data directory with n pods.
func (b *bench) prepare(n int) error {
	var err error
	dir := filepath.Join(b.dir, "plane")
	if b.plane, b.api, err = b.startPlane(dir, controlPlane); err != nil {
		return err
	}
	defer b.plane.end()
	if b.tls, err = clientTLS(dir); err != nil {
		return err
	}
	c, err := dial(b.api, b.tls)
	if err != nil {
		return err
	}
	defer c.close()
	if err := b.waitForAccount(c); err != nil {
		return err
	}
	value, err := b.runningPod(c)
	if err != nil {
		return err
	}
	return seed(b.etcd, value, n, func(string) {})
}
