package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// seededPods are the pods that lists and gets read: running pods of 5.6 KB in ten namespaces, put into etcd in the
// form in which Gantry stored one of them.
type seededPods struct {
	names []string // "ns/name"
	size  int      // bytes of one pod as it is served
	idle  int64    // resident memory of the control plane before, in bytes
	full  int64    // and after
}

const (
	namespaces = 10
	labelled   = 60 // pods with the label tier=special
)

// seedPods puts the pods into etcd once.
func (b *bench) seedPods() (*seededPods, error) {
	if b.seeded != nil {
		return b.seeded, nil
	}
	c := b.pool[0]
	if _, err := c.want(200, &request{method: "GET", path: "/api/v1/pods?limit=1"}); err != nil { // the cache is in use
		return nil, err
	}
	f := &seededPods{idle: b.settledRSS()}
	value, err := b.runningPod(c)
	if err != nil {
		return nil, err
	}
	if err := seed(b.etcd, value, b.pods, func(name string) { f.names = append(f.names, name) }); err != nil {
		return nil, err
	}
	res, err := c.want(200, &request{method: "GET", path: podPath(f.names[0]), keep: true})
	if err != nil {
		return nil, err
	}
	f.size = len(res.body)
	if _, err := c.want(200, &request{method: "GET", path: "/api/v1/pods"}); err != nil {
		return nil, err
	}
	f.full = b.settledRSS()
	b.seeded = f
	return f, nil
}

// runningPod makes a pod with a status and returns its value in etcd.
func (b *bench) runningPod(c *h2) ([]byte, error) {
	path := "/api/v1/namespaces/default/pods"
	body := podBody("template", map[string]string{"app": "web", "tier": "plain"})
	res, err := c.want(201, &request{method: "POST", path: path, contentType: "application/json", body: body, keep: true})
	if err != nil {
		return nil, err
	}
	at := bytes.LastIndex(res.body, []byte(`"status":{`))
	running := append(append(res.body[:at:at], `"status":`...), podStatus+"}"...)
	if _, err := c.want(200, &request{method: "PUT", path: path + "/template/status", contentType: "application/json", body: running}); err != nil {
		return nil, err
	}
	ctx, cancel := timeout()
	defer cancel()
	got, err := b.etcd.Get(ctx, "/registry/pods/default/template")
	if err != nil || len(got.Kvs) == 0 {
		return nil, fmt.Errorf("reading the template: %v", err)
	}
	if _, err := c.want(200, &request{method: "DELETE", path: path + "/template"}); err != nil {
		return nil, err
	}
	return got.Kvs[0].Value, nil
}

// seed puts n pods made of value into etcd.
func seed(etcd *clientv3.Client, value []byte, n int, made func(name string)) error {
	var head struct{ Metadata struct{ UID, Name string } }
	if err := json.Unmarshal(value, &head); err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make(chan error, 16)
	jobs := make(chan int, 64)
	names := make([]string, n)
	for range 16 {
		group.Go(func() {
			for i := range jobs {
				ns, name := fmt.Sprintf("bench-%d", i%namespaces), fmt.Sprintf("web-%05d", i)
				names[i] = ns + "/" + name
				tier := "plain"
				if i%(max(n/labelled, 1)) == 0 && i/(max(n/labelled, 1)) < labelled {
					tier = "special"
				}
				pod := strings.NewReplacer(head.Metadata.UID, fmt.Sprintf("00000000-0000-4000-8000-%012d", i),
					`"namespace":"default"`, fmt.Sprintf("%q:%q", "namespace", ns), `"name":"template"`, fmt.Sprintf("%q:%q", "name", name),
					`"tier":"plain"`, fmt.Sprintf("%q:%q", "tier", tier), `"podIP":"10.244.3.201"`, fmt.Sprintf(`"podIP":"10.244.%d.%d"`, i>>8, i&255)).Replace(string(value))
				if _, err := etcd.Put(context.Background(), "/registry/pods/"+names[i], pod); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	go func() {
		defer close(jobs)
		for i := range n {
			jobs <- i
		}
	}()
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	for _, name := range names {
		made(name)
	}
	return nil
}

func podPath(name string) string {
	ns, name, _ := strings.Cut(name, "/")
	return "/api/v1/namespaces/" + ns + "/pods/" + name
}
