package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"
)

// proxied is a control plane with Services of two endpoints each, and what the proxy makes of them in the kernel.
type proxied struct {
	own      *bench
	services int
	elements []rawSet
	proxy    *child // runs between two changes; nil: it does not
	turn     int    // of changes
}

// proxiedServices makes the control plane once for each number of services.
func (b *bench) proxiedServices(n int) (*proxied, error) {
	if p := b.proxied[n]; p != nil {
		return p, nil
	}
	p := &proxied{services: n, own: &bench{options: b.options, dir: filepath.Join(b.dir, fmt.Sprintf("proxy-%d", n))}}
	var err error
	dir := filepath.Join(p.own.dir, "plane")
	if p.own.plane, p.own.api, err = p.own.startPlane(dir, "gateway"); err != nil {
		return nil, err
	}
	if b.proxied == nil {
		b.proxied = map[int]*proxied{}
	}
	b.proxied[n] = p // close ends it
	if err := p.seed(); err != nil {
		return nil, err
	}
	if _, err := p.programCold(); err != nil {
		return nil, err
	}
	p.elements, err = readRaw()
	return p, err
}

func (p *proxied) close() {
	p.proxy.end()
	p.own.plane.end()
}

// putSlice writes the slice of a service, with two endpoints or one.
func (p *proxied) putSlice(i, endpoints int) error {
	second := ""
	if endpoints == 2 {
		second = fmt.Sprintf(`,{"addresses":["10.244.%d.%d"],"conditions":{"ready":true},"nodeName":"other"}`, 128+i/250, 2+i%250)
	}
	_, err := p.own.etcd.Put(context.Background(), fmt.Sprintf("/registry/endpointslices/default/s%d-1", i), fmt.Sprintf(
		`{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"s%d-1","namespace":"default","uid":"00000000-0000-4000-8001-%012d","labels":{"kubernetes.io/service-name":"s%d"}},`+
			`"addressType":"IPv4","ports":[{"name":"","port":8080,"protocol":"TCP"}],"endpoints":[{"addresses":["10.244.%d.%d"],"conditions":{"ready":true},"nodeName":"other"}%s]}`,
		i, i, i, i/250, 2+i%250, second))
	return err
}

func (p *proxied) putService(i int) error {
	ip := fmt.Sprintf("10.96.%d.%d", 1+i/250, 1+i%250)
	_, err := p.own.etcd.Put(context.Background(), fmt.Sprintf("/registry/services/specs/default/s%d", i), fmt.Sprintf(
		`{"kind":"Service","apiVersion":"v1","metadata":{"name":"s%d","namespace":"default","uid":"00000000-0000-4000-8000-%012d"},`+
			`"spec":{"type":"ClusterIP","clusterIP":%q,"clusterIPs":[%q],"ports":[{"port":80,"protocol":"TCP","targetPort":8080}]},"status":{"loadBalancer":{}}}`, i, i, ip, ip))
	return err
}

// seed puts the services and slices into etcd.
func (p *proxied) seed() error {
	var group sync.WaitGroup
	errs := make([]error, 16)
	for w := range errs {
		group.Go(func() {
			for i := w; i < p.services && errs[w] == nil; i += len(errs) {
				errs[w] = errors.Join(p.putService(i), p.putSlice(i, 2))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (p *proxied) startProxy() (err error) {
	p.proxy, err = startChild(time.Minute, "ready", p.own.gantry, "proxy", "--data-dir", filepath.Join(p.own.dir, "plane"),
		"--etcd-servers", p.own.etcd.Endpoints()[0], "--node-name", "bench", "--node-ip", nodeIP)
	return err
}

// programmed is the log's line about a sync.
var programmed = regexp.MustCompile(`msg="services programmed".* elements=(\d+) took=(\S+)`)

// programCold starts a proxy without a table and returns how long the first sync took: from compiled services to the last
// acknowledgement of the kernel.
func (p *proxied) programCold() (measurement, error) {
	p.proxy.end()
	p.proxy = nil
	if err := deleteTable("gantry"); err != nil {
		return measurement{}, err
	}
	if err := p.startProxy(); err != nil {
		return measurement{}, err
	}
	proxy := p.proxy
	proxy.end()
	p.proxy = nil
	found := programmed.FindStringSubmatch(proxy.log.String())
	if found == nil {
		return measurement{}, fmt.Errorf("the proxy has not programmed its table: %s", proxy.log.String())
	}
	took, err := time.ParseDuration(found[2])
	if count, _ := strconv.Atoi(found[1]); err != nil || count < 4*p.services {
		return measurement{}, fmt.Errorf("%s elements for %d services, %w", found[1], p.services, err)
	}
	return measurement{ops: 1, elapsed: took, p50: took, p99: took, note: found[1] + " elements"}, nil
}

// Rows of the proxy: the first sync, and one endpoint that comes or goes.

func proxyCold(n int) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		p, err := b.proxiedServices(n)
		if err != nil {
			return measurement{}, err
		}
		return p.programCold()
	}
}

func floorProxyCold(n int) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		p, err := b.proxiedServices(n)
		if err != nil {
			return measurement{}, err
		}
		took, err := programRaw(p.elements)
		return measurement{ops: 1, elapsed: took, p50: took}, errors.Join(err, deleteTable(rawTable))
	}
}

// proxyChanges is how many changes are measured in a round.
const proxyChanges = 100

// proxyChange measures from the watch event of a slice, as this process receives it, to the kernel's notification of the new element.
func proxyChange(n int) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		p, err := b.proxiedServices(n)
		if err != nil {
			return measurement{}, err
		}
		if p.proxy == nil {
			if err := p.startProxy(); err != nil {
				return measurement{}, err
			}
		}
		defer func() { p.proxy.end(); p.proxy = nil }()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		kernel, err := notifications(ctx)
		if err != nil {
			return measurement{}, err
		}
		watch := p.own.etcd.Watch(ctx, "/registry/endpointslices/", clientv3.WithPrefix())
		before, began := p.proxy.cpu(), time.Now()
		times := make([]time.Duration, proxyChanges)
		for i := range times {
			time.Sleep(50 * time.Millisecond) // syncs are 30 ms apart at least
			for len(kernel) > 0 {
				<-kernel
			}
			if err := p.putSlice(p.turn/2%p.services, 1+p.turn%2); err != nil { // one endpoint less, then the same again
				return measurement{}, err
			}
			p.turn++
			<-watch
			at := time.Now()
			select {
			case done := <-kernel:
				times[i] = max(0, done.Sub(at))
			case <-time.After(10 * time.Second):
				return measurement{}, errors.New("the kernel was not changed in 10 s")
			}
		}
		m := measurement{ops: proxyChanges, elapsed: time.Since(began), cpu: p.proxy.cpu() - before}
		m.p50, m.p99 = percentiles(times)
		return m, nil
	}
}

// floorProxyChange measures the transaction alone: the element of a service is replaced and one slot added or deleted.
func floorProxyChange(n int) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		p, err := b.proxiedServices(n)
		if err != nil {
			return measurement{}, err
		}
		if _, err := programRaw(p.elements); err != nil {
			return measurement{}, err
		}
		times, err := changeRaw(p.elements, proxyChanges)
		m := measurement{ops: len(times)}
		for _, t := range times {
			m.elapsed += t
		}
		m.p50, m.p99 = percentiles(times)
		return m, errors.Join(err, deleteTable(rawTable))
	}
}

// notifications sends the time of every change of a set of nftables in this network namespace, until ctx is done.
func notifications(ctx context.Context) (<-chan time.Time, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { c.Close() })
	out := make(chan time.Time, 4096)
	go func() { // until ctx is done
		for {
			messages, err := c.Receive()
			if err != nil {
				return
			}
			now := time.Now()
			for _, m := range messages {
				if kind := int(m.Header.Type) & 0xff; kind == unix.NFT_MSG_NEWSETELEM || kind == unix.NFT_MSG_DELSETELEM {
					select {
					case out <- now:
					default:
					}
				}
			}
		}
	}()
	return out, nil
}

// hostOrder is a number as numgen has it.
func hostOrder(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
