package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"gantry/registry/embedded"
)

// floor is the child that does the least that must be done: it echoes bytes over HTTPS by Go's stock server, puts
// and gets in an etcd that is configured as Gantry's, and writes bare watch streams.
type floor struct {
	bytes []byte // what echoes are made of
	etcd  *clientv3.Client

	mu      sync.Mutex // guards streams
	streams map[chan []byte]struct{}
}

const largest = 64 << 20 // bytes of one answer

// serveFloor serves on the address given as argument with the certificates of a data directory.
func serveFloor(dir string) error {
	cert := filepath.Join(dir, "pki", "gateway")
	conf, err := tlsFrom(filepath.Join(dir, "pki", "ca.crt"), cert)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp(filepath.Dir(dir), "floor-")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	etcd := filepath.Join(dir, "pki", "etcd")
	e, err := embedded.Open(embedded.Config{
		Dir: data, Port: port, CAFile: filepath.Join(etcd, "ca.crt"),
		CertFile: filepath.Join(etcd, "server.crt"), KeyFile: filepath.Join(etcd, "server.key"), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer e.Close()
	f := &floor{bytes: make([]byte, largest), etcd: e.Client(), streams: map[chan []byte]struct{}{}}
	for i := range f.bytes {
		f.bytes[i] = "0123456789abcdef"[i*i>>3&15]
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", f.echo)
	mux.HandleFunc("/port", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, port) })
	mux.HandleFunc("/etcd", f.load)
	mux.HandleFunc("/watch", f.watch)
	mux.HandleFunc("/fire", f.fire)
	l, err := net.Listen("tcp", flag.Arg(0))
	if err != nil {
		return err
	}
	if err := serveUDP(flag.Arg(0), f.bytes); err != nil {
		return err
	}
	fmt.Println("floor ready")
	s := &http.Server{
		Handler: mux, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: conf.Certificates, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"}},
	}
	return s.ServeTLS(l, "", "")
}

// echo reads the body and answers with n bytes.
func (f *floor) echo(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(n))
	const chunk = 128 << 10
	for b := f.bytes[:n]; len(b) > 0; b = b[min(len(b), chunk):] {
		if _, err := w.Write(b[:min(len(b), chunk)]); err != nil {
			return
		}
	}
}

// etcdLoad is what /etcd answers.
type etcdLoad struct {
	Ops                    int
	Elapsed, CPU, P50, P99 time.Duration
}

// load runs transactions in process: op=put or get, clients, ms; n: so many, however long they take.
func (f *floor) load(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	clients, _ := strconv.Atoi(q.Get("clients"))
	ms, _ := strconv.Atoi(q.Get("ms"))
	op := func(i int) error { return rawPut(f.etcd, i, rawTurn.Add(1)) }
	if q.Get("op") == "get" {
		op = func(int) error { return rawGet(f.etcd) }
	}
	var m measurement
	var err error
	if n, _ := strconv.Atoi(q.Get("n")); n > 0 {
		m, err = inTurn(&child{}, n, clients, op)
	} else {
		m, err = drive(&child{}, clients, time.Duration(ms)*time.Millisecond, op)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(etcdLoad{m.ops, m.elapsed, m.cpu, m.p50, m.p99})
}

var value3K = string(make([]byte, 3<<10))

// rawPut is a compare-and-put of 3 KiB: the transaction of a creation.
func rawPut(c *clientv3.Client, client int, turn int64) error {
	key := fmt.Sprintf("/registry/pods/default/raw-%d-%d", client, turn)
	res, err := c.Txn(context.Background()).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, value3K)).Else(clientv3.OpGet(key)).Commit()
	if err == nil && !res.Succeeded {
		err = errors.New("the key was there")
	}
	return err
}

// rawGet is a linearizable get of one small key.
func rawGet(c *clientv3.Client) error {
	_, err := c.Get(context.Background(), "/gantry/version")
	return err
}

// watch is a stream that writes what it is given and flushes each time.
func (f *floor) watch(w http.ResponseWriter, r *http.Request) {
	feed := make(chan []byte, 4096)
	f.mu.Lock()
	f.streams[feed] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.streams, feed)
		f.mu.Unlock()
	}()
	w.WriteHeader(http.StatusOK)
	c := http.NewResponseController(w)
	_ = c.Flush()
	for {
		select {
		case b := <-feed:
			if _, err := w.Write(b); err != nil || c.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// fire sends events of n bytes to every stream, as fast as the streams take them, for ms.
func (f *floor) fire(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	event := append(f.bytes[:n-1:n-1], '\n')
	f.mu.Lock()
	defer f.mu.Unlock()
	for end := time.Now().Add(time.Duration(ms) * time.Millisecond); time.Now().Before(end); {
		for feed := range f.streams {
			select {
			case feed <- event:
			case <-r.Context().Done():
				return
			}
		}
	}
}
