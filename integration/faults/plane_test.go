//go:build faults

package faults

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// plane is a control plane: `gantry up` without a node, on its own machine.
type plane struct {
	t *testing.T
	*machine
	*process
	dir    string
	flags  []string
	client *http.Client
}

// startPlane starts a control plane over the etcd at urls, or over an embedded one.
func startPlane(t *testing.T, name string, urls []string, flags ...string) *plane {
	t.Helper()
	p := newPlane(t, name, urls, flags...)
	p.run()
	p.connect()
	return p
}

func newPlane(t *testing.T, name string, urls []string, flags ...string) *plane {
	p := &plane{t: t, machine: newMachine(t, name), dir: filepath.Join(t.TempDir(), name)}
	must(t, os.MkdirAll(p.dir, 0o700))
	p.flags = append([]string{"up", "--data-dir", p.dir, "--node-name", name, "--node-ip", p.addr}, flags...)
	if !strings.Contains(strings.Join(flags, " "), "--agents") {
		p.flags = append(p.flags, "--agents", "gateway,scheduler,controllers")
	}
	if len(urls) > 0 {
		p.flags = append(p.flags, "--etcd-servers", strings.Join(urls, ","))
	}
	return p
}

// run starts the program and returns how long it took to be ready.
func (p *plane) run() time.Duration {
	p.t.Helper()
	began := time.Now()
	p.process = p.start(" ready", p.dir+".log", nil, gantry, p.flags...)
	return p.awaitReady(began)
}

// connect makes the admin's client.
func (p *plane) connect() {
	p.t.Helper()
	p.client = p.newClient()
}

func (p *plane) newClient() *http.Client {
	p.t.Helper()
	ca, err := os.ReadFile(filepath.Join(p.dir, "pki", "ca.crt"))
	must(p.t, err)
	pair, err := tls.LoadX509KeyPair(filepath.Join(p.dir, "pki", "admin.crt"), filepath.Join(p.dir, "pki", "admin.key"))
	must(p.t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64,
		HTTP2: &http.HTTP2Config{SendPingTimeout: seconds(5), PingTimeout: seconds(5)},
	}
	p.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (p *plane) url() string { return "https://" + p.addr + ":6443" }

// answer is the answer to a request.
type answer struct {
	code   int
	header http.Header
	body   string
	took   time.Duration
}

func (a answer) String() string {
	body := a.body
	if len(body) > 400 {
		body = body[:400] + "..."
	}
	return fmt.Sprintf("%d after %s: %s", a.code, a.took.Round(time.Millisecond), body)
}

// status decodes the answer as a Status.
func (a answer) status() (s metav1.Status) {
	_ = json.Unmarshal([]byte(a.body), &s) // another body leaves the message empty
	return s
}

// ask sends a request with a deadline; an error means that there was no answer.
func (p *plane) ask(method, path, body string, limit time.Duration, header ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.url()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	began := time.Now()
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{took: time.Since(began)}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), time.Since(began)}, err
}

// do is ask where an answer must come.
func (p *plane) do(method, path, body string, header ...string) answer {
	p.t.Helper()
	a, err := p.ask(method, path, body, waitTimeout, header...)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// ok is do where it must succeed.
func (p *plane) ok(method, path, body string, header ...string) answer {
	p.t.Helper()
	a := p.do(method, path, body, header...)
	if a.code/100 != 2 {
		p.t.Fatalf("%s %s: %s", method, path, a)
	}
	return a
}

const maps = "/api/v1/namespaces/default/configmaps"

// configMap is one, as a client sends it.
func configMap(name, data string) string {
	return fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q},"data":{"n":%q}}`, name, data)
}

// object has the fields of an object that tests check.
type object struct {
	Kind     string
	Metadata metav1.ObjectMeta
	Data     map[string]string
	Spec     struct {
		NodeName string
		Replicas *int
	}
	Status struct {
		Phase, Reason string
		Conditions    []struct{ Type, Status, Reason, Message string }
	}
}

type objects struct {
	Metadata metav1.ListMeta
	Items    []object
}

func parse[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	return v
}

// list is the collection at a path.
func (p *plane) list(path string) objects {
	p.t.Helper()
	return parse[objects](p.t, p.ok("GET", path, "").body)
}

func names(l objects) string {
	var all []string
	for _, o := range l.Items {
		all = append(all, o.Metadata.Name)
	}
	return strings.Join(all, " ")
}

// event is one of a watch.
type event struct {
	Type   string
	Object json.RawMessage
}

// watch streams the events of a path until ctx ends or the stream does, which is when out is closed.
func (p *plane) watch(ctx context.Context, path string) (out <-chan event, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("watching %s: %d %s", path, resp.StatusCode, text)
	}
	events := make(chan event)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		lines := bufio.NewReaderSize(resp.Body, 64<<10)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return
			}
			var e event
			if json.Unmarshal(bytes.TrimSpace(line), &e) != nil {
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, nil
}

// asObject decodes an object; a text that is not one gives an empty object.
func asObject(text string) (o object) {
	_ = json.Unmarshal([]byte(text), &o)
	return o
}

func contains(text string, all ...string) bool {
	for _, s := range all {
		if !strings.Contains(text, s) {
			return false
		}
	}
	return true
}

// share gives the plane another's authority.
func (p *plane) share(other *plane) {
	p.t.Helper()
	must(p.t, os.MkdirAll(filepath.Join(p.dir, "pki"), 0o700))
	for _, name := range []string{"ca.crt", "ca.key", "sa.key"} {
		data, err := os.ReadFile(filepath.Join(other.dir, "pki", name))
		must(p.t, err)
		must(p.t, os.WriteFile(filepath.Join(p.dir, "pki", name), data, 0o600))
	}
}
