package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// row is one line of the table.
type row struct {
	name, doc string
	// goal is the most CPU time that an operation may take; 0: none.
	goal time.Duration
	// scaled goals are for 3,000 pods and grow with -pods.
	scaled bool
	// by is what is compared with the floor; nil: the CPU time of an operation.
	by func(measurement) time.Duration
	// within is the goal as a multiple of the floor; 0: none.
	within float64
	// repeat is how often floor and row are measured in turn in a round; 0: once.
	repeat int
	// node: it starts pods, by a cluster in a network namespace of its own.
	node bool
	// named: it runs only when it is named.
	named bool
	// once: not in every round, and last, because it starts control planes of its own.
	once  bool
	floor func(*bench) (measurement, error)
	run   func(*bench) (measurement, error)
}

const us, ms = time.Microsecond, time.Millisecond

// rows is the table, in its order. Goals are CPU time of the whole control plane for one operation.
var rows = append([]*row{
	{name: "etcd-put", doc: "raw compare-and-put of 3 KiB, in process", run: (*bench).etcdPut},
	{name: "etcd-put-grpc", doc: "the same over gRPC with TLS", run: (*bench).etcdPutGRPC},
	{name: "etcd-get", doc: "raw linearizable get, in process", run: (*bench).etcdGet},
	{name: "etcd-get-grpc", doc: "the same over gRPC with TLS", run: (*bench).etcdGetGRPC},
	{name: "echo-h1", doc: "HTTPS echo of a pod's bytes, HTTP/1.1", run: echoH1},
	{name: "echo-h2", doc: "HTTPS echo of a pod's bytes, HTTP/2", run: echoPod},
	{name: "create", doc: "create a pod of 1.9 KB", goal: 500 * us, floor: floorCreate, run: createPods},
	{name: "create-role", doc: "the same as a user with a role, at 10,000 bindings", within: 1.03, repeat: 4, floor: createPodsAsAdmin, run: createPodsByRole},
	{name: "create-guarded", doc: "the same in a namespace with a quota, a limit range and PodSecurity", within: 1.1, repeat: 4, floor: createPodsAsAdmin, run: createPodsGuarded},
	{name: "delete", doc: "delete it", run: deletePods},
	{name: "get", doc: "GET of one pod, consistent", goal: 160 * us, floor: echoPod, run: getPod("")},
	{name: "get-cached", doc: "GET of one pod, resourceVersion=0", goal: 160 * us, floor: echoPod, run: getPod("?resourceVersion=0")},
	{name: "get-h1", doc: "GET of one pod over HTTP/1.1", floor: echoH1, run: getPodH1},
	{name: "list", doc: "LIST of all, consistent", goal: 60 * ms, scaled: true, floor: floorList, run: listPods("", false)},
	{name: "list-cached", doc: "LIST of all, resourceVersion=0", goal: 60 * ms, scaled: true, floor: floorList, run: listPods("?resourceVersion=0", false)},
	{name: "list-gzip", doc: "LIST of all, deflated", goal: 12 * ms, scaled: true, floor: floorListGzip, run: listPods("", true)},
	{name: "list-label", doc: "LIST of 60 by label", goal: 1500 * us, floor: floorLabel, run: listPods("?labelSelector=tier%3Dspecial", false)},
	{name: "list-label-gzip", doc: "the same, deflated", goal: 2 * ms, run: listPods("?labelSelector=tier%3Dspecial", true)},
	{name: "list-field", doc: "LIST of 1 by field", goal: 200 * us, floor: floorField, run: listPods("?fieldSelector=status.podIP%3D10.244.1.7", false)},
	{name: "list-page", doc: "LIST page of 500", goal: 11 * ms, floor: floorPage, run: listPods("?limit=500", false)},
	{name: "list-page-gzip", doc: "the same, deflated", goal: 4 * ms, run: listPods("?limit=500", true)},
	{name: "patch", doc: "strategic merge patch of a pod", goal: 800 * us, floor: floorCreate, run: patchPods},
	{name: "status", doc: "GET and PUT of a pod's status", goal: 900 * us, floor: floorStatus, run: statusPods},
	{name: "custom-create", doc: "create a custom object of 1.2 KB; its floor is a ConfigMap of that size", within: 1.5, floor: configMaps.create(), run: widgets.create()},
	{name: "custom-get", doc: "GET of one", within: 1.5, floor: configMaps.get(), run: widgets.get()},
	{name: "custom-list", doc: "LIST of 500", within: 1.5, floor: configMaps.list(), run: widgets.list()},
	{name: "custom-patch", doc: "merge patch of a number", within: 1.5, floor: configMaps.patched(), run: widgets.patched()},
	{name: "custom-apply", doc: "server-side apply of a label and a number", within: 1.5, floor: configMaps.applied(), run: widgets.applied()},
	{name: "watch-200", doc: "event to one of 200 watchers, some slow, some stalled", goal: 8 * us, floor: floorWatch(200), run: watchers(200)},
	{name: "watch-1000", doc: "event to one of 1,000 watchers, the same", goal: 8 * us, floor: floorWatch(1000), run: watchers(1000)},
	{name: "cas-storm", doc: "100 clients increment one object", floor: floorIncrement, run: casIncrement},
	{name: "pod-start", doc: "POST of a pod until a watcher sees it Running, one after the other", node: true, within: 1.1,
		repeat: 6, by: atHalf, floor: rawPods(1, 1), run: runPods(1, 1)},
	{name: "pod-burst", doc: "the same, 30 at once", node: true, within: 1.1,
		by: measurement.perPlace, floor: rawPods(burst, rawParallel), run: runPods(burst, burst)},
	{name: "dns", doc: "address of a Service, by a UDP query to the node's name server", node: true, within: 1.5, floor: floorNames, run: resolveNames},
	{name: "proxy-cold-1000", doc: "first sync of 1,000 Services with two endpoints each", node: true, within: 2, by: atHalf, floor: floorProxyCold(1000), run: proxyCold(1000)},
	{name: "proxy-cold-10000", doc: "the same with 10,000", node: true, within: 2, by: atHalf, floor: floorProxyCold(10000), run: proxyCold(10000)},
	{name: "proxy-cold-30000", doc: "the same with 30,000", node: true, within: 2, by: atHalf, floor: floorProxyCold(30000), run: proxyCold(30000)},
	{name: "proxy-change-1000", doc: "watch event of one endpoint to the kernel's notification, at 1,000 Services", node: true, by: atHalf, floor: floorProxyChange(1000), run: proxyChange(1000)},
	{name: "proxy-change-10000", doc: "the same at 10,000", node: true, by: atHalf, floor: floorProxyChange(10000), run: proxyChange(10000)},
	{name: "proxy-change-30000", doc: "the same at 30,000", node: true, by: atHalf, floor: floorProxyChange(30000), run: proxyChange(30000)},
	{name: "memory", doc: "resident bytes of one cached pod", run: memory},
	{name: "start-5000", doc: "start with 5,000 pods, until a list is answered", once: true, run: start(5000, controlPlane)},
	{name: "start-gateway", doc: "the same, the gateway without controllers", once: true, run: start(5000, "gateway")},
	{name: "start-50000", doc: "start with 50,000 pods", once: true, run: start(50000, controlPlane)},
	{name: "definitions-1000", doc: "resident bytes for each byte of 1,000 custom kinds with 10 objects each", once: true, named: true, run: manyDefinitions},
	{name: "definitions-large", doc: "ten custom kinds with a schema of 500 KB each, until an object of the last is written", once: true, named: true, run: largeDefinitions},
}, flows...)

// atHalf compares by the median.
func atHalf(m measurement) time.Duration { return m.p50 }

// The raw floors.

func (b *bench) etcdInProcess(op string) (measurement, error) {
	res, err := b.floorPool[0].want(200, &request{method: "GET", keep: true,
		path: fmt.Sprintf("/etcd?op=%s&clients=%d&ms=%d", op, b.clients, b.length.Milliseconds())})
	if err != nil {
		return measurement{}, err
	}
	return loadIn(res.body)
}

// rawWrites makes so many compare-and-puts of 3 KiB in process.
func (b *bench) rawWrites(n int) (measurement, error) {
	res, err := b.floorPool[0].want(200, &request{method: "GET", keep: true, path: fmt.Sprintf("/etcd?op=put&clients=64&n=%d", n)})
	if err != nil {
		return measurement{}, err
	}
	return loadIn(res.body)
}

// loadIn is the measurement that a floor has answered.
func loadIn(body []byte) (measurement, error) {
	var l etcdLoad
	if err := json.Unmarshal(body, &l); err != nil {
		return measurement{}, err
	}
	return measurement{ops: l.Ops, elapsed: l.Elapsed, cpu: l.CPU, p50: l.P50, p99: l.P99}, nil
}

func (b *bench) etcdPut() (measurement, error) { return b.etcdInProcess("put") }
func (b *bench) etcdGet() (measurement, error) { return b.etcdInProcess("get") }

func (b *bench) floorEtcd() (*clientv3.Client, error) {
	res, err := b.floorPool[0].want(200, &request{method: "GET", path: "/port", keep: true})
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(string(res.body))
	if err != nil {
		return nil, err
	}
	return etcdClient(b.dir+"/plane", port)
}

var rawTurn atomic.Int64

func (b *bench) etcdPutGRPC() (measurement, error) {
	c, err := b.floorEtcd()
	if err != nil {
		return measurement{}, err
	}
	defer c.Close()
	return drive(b.floor, b.clients, b.length, func(i int) error { return rawPut(c, 1000+i, rawTurn.Add(1)) })
}

func (b *bench) etcdGetGRPC() (measurement, error) {
	c, err := b.floorEtcd()
	if err != nil {
		return measurement{}, err
	}
	defer c.Close()
	return drive(b.floor, b.clients, b.length, func(int) error { return rawGet(c) })
}

// echo measures the echo of answers of n bytes to body.
func (b *bench) echo(clients int, body []byte, n int) (measurement, error) {
	r := &request{method: "GET", path: "/echo?n=" + strconv.Itoa(n)}
	if body != nil {
		r.method, r.contentType, r.body = "POST", "application/json", body
	}
	return drive(b.floor, clients, b.length, func(i int) error {
		_, err := b.floorPool[i%len(b.floorPool)].want(200, r)
		return err
	})
}

func echoPod(b *bench) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	return b.echo(b.clients, nil, f.size)
}

func echoH1(b *bench) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	return b.h1(b.floor, b.floorAddr, func() string { return "/echo?n=" + strconv.Itoa(f.size) })
}

func (b *bench) h1(p *child, addr string, path func() string) (measurement, error) {
	conns := make([]*h1, b.clients)
	for i := range conns {
		var err error
		if conns[i], err = dialH1(addr, b.tls); err != nil {
			return measurement{}, err
		}
		defer conns[i].conn.Close()
	}
	return drive(p, b.clients, b.length, func(i int) error {
		res, err := conns[i].do(&request{method: "GET", path: path()})
		if err == nil && res.status != 200 {
			err = fmt.Errorf("status %d", res.status)
		}
		return err
	})
}

// both is the cost of doing one and the other.
func both(a, c measurement) measurement {
	return measurement{ops: a.ops, elapsed: a.elapsed, cpu: a.cpu + time.Duration(a.ops)*c.perOp(), p50: a.p50 + c.p50, p99: a.p99 + c.p99}
}

func floorCreate(b *bench) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	e, err := b.echo(b.clients, podBody("floor", nil), f.size/2)
	if err != nil {
		return e, err
	}
	p, err := b.etcdPut()
	return both(e, p), err
}

func floorStatus(b *bench) (measurement, error) {
	g, err := echoPod(b)
	if err != nil {
		return g, err
	}
	p, err := b.echo(b.clients, make([]byte, b.seeded.size), b.seeded.size)
	if err != nil {
		return g, err
	}
	e, err := b.etcdPut()
	return both(both(g, p), e), err
}

const listClients = 2

func (b *bench) floorOf(pods, part int) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	return b.echo(listClients, nil, pods*f.size/part)
}

func floorList(b *bench) (measurement, error)     { return b.floorOf(b.pods, 1) }
func floorListGzip(b *bench) (measurement, error) { return b.floorOf(b.pods, 18) }
func floorLabel(b *bench) (measurement, error)    { return b.floorOf(labelled, 1) }
func floorField(b *bench) (measurement, error)    { return b.floorOf(1, 1) }
func floorPage(b *bench) (measurement, error)     { return b.floorOf(500, 1) }

// The API.

var made atomic.Int64

// createPods creates pods in the namespace default; deletePods, the next row, deletes them.
func createPods(b *bench) (measurement, error) { return b.createPods(b.pool, podsPath) }

func (b *bench) createPods(pool []*h2, path string) (measurement, error) {
	var size atomic.Int64
	return drive(b.plane, b.clients, b.length, func(i int) error {
		n := made.Add(1)
		body := podBody(fmt.Sprintf("made-%d", n), map[string]string{"app": "made", "tier": "plain"})
		res, err := pool[i%len(pool)].want(201, &request{method: "POST", path: path, contentType: "application/json", body: body})
		size.Store(int64(res.size))
		return err
	})
}

func deletePods(b *bench) (measurement, error) {
	names, err := b.podNames("default")
	if err != nil {
		return measurement{}, err
	}
	var next atomic.Int64
	before, began := b.plane.cpu(), time.Now()
	_, err = drive(b.plane, b.clients, time.Hour, func(i int) error {
		n := int(next.Add(1)) - 1
		if n >= len(names) {
			return errDone
		}
		_, err := b.pool[i%len(b.pool)].want(200, &request{method: "DELETE", path: "/api/v1/namespaces/default/pods/" + names[n]})
		return err
	})
	if err == errDone {
		err = nil
	}
	return measurement{ops: len(names), elapsed: time.Since(began), cpu: b.plane.cpu() - before}, err
}

var errDone = fmt.Errorf("nothing is left")

func (b *bench) podNames(namespace string) ([]string, error) {
	res, err := b.pool[0].want(200, &request{method: "GET", path: "/api/v1/namespaces/" + namespace + "/pods", keep: true})
	if err != nil {
		return nil, err
	}
	var l struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	if err := json.Unmarshal(res.body, &l); err != nil {
		return nil, err
	}
	var names []string
	for _, it := range l.Items {
		names = append(names, it.Metadata.Name)
	}
	return names, nil
}

func getPod(query string) func(b *bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		f, err := b.seedPods()
		if err != nil {
			return measurement{}, err
		}
		return drive(b.plane, b.clients, b.length, func(i int) error {
			_, err := b.pool[i%len(b.pool)].want(200, &request{method: "GET", path: podPath(f.names[rand.IntN(len(f.names))]) + query})
			return err
		})
	}
}

func getPodH1(b *bench) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	return b.h1(b.plane, b.api, func() string { return podPath(f.names[rand.IntN(len(f.names))]) })
}

func listPods(query string, gzip bool) func(b *bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		if _, err := b.seedPods(); err != nil {
			return measurement{}, err
		}
		var size atomic.Int64
		m, err := drive(b.plane, listClients, b.length, func(i int) error {
			res, err := b.pool[i%len(b.pool)].want(200, &request{method: "GET", path: "/api/v1/pods" + query, gzip: gzip})
			size.Store(int64(res.size))
			return err
		})
		m.note = fmt.Sprintf("%d KB", size.Load()/1000)
		return m, err
	}
}

// patchPods patches an annotation of seeded pods; every client has its own.
func patchPods(b *bench) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	turns := make([]int, b.clients)
	return drive(b.plane, b.clients, b.length, func(i int) error {
		turns[i]++
		name := f.names[(turns[i]*b.clients+i)%(len(f.names)/b.clients*b.clients)]
		_, err := b.pool[i%len(b.pool)].want(200, &request{
			method: "PATCH", path: podPath(name), contentType: "application/strategic-merge-patch+json",
			body: fmt.Appendf(nil, `{"metadata":{"annotations":{"bench/turn":"%d-%d"}}}`, rand.Int32(), turns[i]),
		})
		return err
	})
}

func statusPods(b *bench) (measurement, error) {
	f, err := b.seedPods()
	if err != nil {
		return measurement{}, err
	}
	turns := make([]int, b.clients)
	return drive(b.plane, b.clients, b.length, func(i int) error {
		turns[i]++
		path := podPath(f.names[(turns[i]*b.clients+i)%(len(f.names)/b.clients*b.clients)])
		c := b.pool[i%len(b.pool)]
		res, err := c.want(200, &request{method: "GET", path: path, keep: true})
		if err != nil {
			return err
		}
		at := bytes.Index(res.body, []byte(`"message":"turn `))
		copy(res.body[at+len(`"message":"turn `):], fmt.Sprintf("%010d", rand.Int32()))
		_, err = c.want(200, &request{method: "PUT", path: path + "/status", contentType: "application/json", body: res.body})
		return err
	})
}
