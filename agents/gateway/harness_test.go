package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"gantry/agents/internal/daemon"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/kinds"
)

// cluster is a gateway over a store in memory, served as it is in the field: TLS on loopback.
type cluster struct {
	t       testing.TB
	dir     string
	url     string
	reg     *registry.Registry
	store   store.Store
	ca      *pki.Authority
	admin   pki.Pair
	gateway *gateway // the handlers alone, with the same keys
	stop    context.CancelFunc
	done    chan error
}

// newCluster starts one; change may alter its configuration. The gateway does not publish itself, so that a test's own
// requests are all that move the revision.
func newCluster(t testing.TB, change ...func(*Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), done: make(chan error, 1)}
	var err error
	if c.ca, err = pki.OpenAuthority(filepath.Join(c.dir, "pki"), "test-ca", true); err != nil {
		t.Fatal(err)
	}
	c.admin = c.pair("admin", pki.Request{CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}})
	serving := c.pair("gateway", pki.Request{CommonName: "gateway", Server: true, IPs: []net.IP{{127, 0, 0, 1}}})
	tokens, err := pki.SigningKey(filepath.Join(c.dir, "sa.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	registrytest.DetectMutations(t)
	c.store = store.NewFake()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c.reg = registry.New(registry.Config{
		Store: c.store, Kinds: kinds.New(), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/16"), Agent: "gateway", Log: log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	run := make(chan error, 1)
	go func() { run <- c.reg.Run(ctx) }()
	bound := make(chan netip.AddrPort, 1)
	cfg := Config{
		Registry: c.reg, BindAddress: netip.MustParseAddr("127.0.0.1"), AdvertiseAddress: netip.MustParseAddr("127.0.0.1"),
		Certificate: serving.Certificate, ClientCAs: c.ca.Pool(), ClusterCA: c.ca.PEM,
		KubeletClient: c.pair("to-kubelet", pki.Request{CommonName: "gantry-gateway"}).Certificate, KubeletCAs: c.ca.Pool(),
		ServiceAccountKey: tokens, Health: &daemon.Health{}, Log: log,
		Ready: func(a netip.AddrPort) { bound <- a },
	}
	for _, f := range change {
		f(&cfg)
	}
	if c.gateway, err = newGateway(cfg); err != nil {
		t.Fatal(err)
	}
	c.namespaces("default", "kube-system", "kube-node-lease")
	served := make(chan error, 1)
	go func() { served <- Run(ctx, cfg) }()
	c.stop = cancel
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("gateway ended with %v", err)
		}
		if err := <-run; err != nil {
			t.Errorf("registry ended with %v", err)
		}
	})
	select {
	case a := <-bound:
		c.url = "https://" + a.String()
	case err := <-served:
		t.Fatalf("gateway ended with %v", err)
	}
	return c
}

func (c *cluster) pair(name string, r pki.Request) pki.Pair {
	c.t.Helper()
	p, err := c.ca.Ensure(name, r)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

func (c *cluster) namespaces(names ...string) {
	c.t.Helper()
	for _, name := range names {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := registry.For[*corev1.Namespace](c.reg).Create(c.t.Context(), ns); err != nil {
			c.t.Fatal(err)
		}
		if name != "default" {
			continue
		}
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: name}}
		if _, err := registry.For[*corev1.ServiceAccount](c.reg).Create(c.t.Context(), sa); err != nil {
			c.t.Fatal(err)
		}
	}
}

// node is the identity of a node.
func (c *cluster) node(name string) pki.Pair {
	return c.pair("node-"+name, pki.Request{CommonName: "system:node:" + name, Organizations: []string{"system:nodes"}})
}

// client makes an HTTP client that shows certs.
func (c *cluster) client(certs ...tls.Certificate) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: c.ca.Pool(), Certificates: certs}, ForceAttemptHTTP2: true, DisableCompression: true,
	}
	c.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
}

// do sends one request; headers are "Name: value".
func (c *cluster) do(client *http.Client, method, path, body string, headers ...string) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// as is do with the admin's certificate.
func (c *cluster) as(method, path, body string, headers ...string) answer {
	c.t.Helper()
	return c.do(c.client(c.admin.Certificate), method, path, body, headers...)
}

// clientset is client-go's, for the owner of a pair.
func (c *cluster) clientset(p pki.Pair) *kubernetes.Clientset {
	c.t.Helper()
	set, err := kubernetes.NewForConfig(&rest.Config{
		Host: c.url, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.PEM, CertFile: p.CertFile, KeyFile: p.KeyFile},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return set
}

// kubectl runs the real one and returns what it wrote; a failure fails the test unless the arguments start with "!".
func (c *cluster) kubectl(stdin string, args ...string) string {
	c.t.Helper()
	fails := args[0] == "!"
	if fails {
		args = args[1:]
	}
	file := filepath.Join(c.dir, "admin.conf")
	if _, err := os.Stat(file); err != nil {
		if err := pki.Kubeconfig(file, c.url, "admin", c.ca, c.admin); err != nil {
			c.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+file, "HOME="+c.dir, "KUBECTL_APPLYSET=")
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); (err != nil) != fails {
		c.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

func (c *cluster) kindOf(obj schema.Object) *schema.Kind {
	return c.reg.Kinds().Set().Of(reflect.TypeOf(obj))
}

// put changes an object as it can only be changed in etcd, and waits until the cache knows.
func (c *cluster) put(k *schema.Kind, namespace, name string, change func(schema.Object)) {
	c.t.Helper()
	item, err := c.reg.Get(c.t.Context(), k, namespace, name, "")
	if err != nil {
		c.t.Fatal(err)
	}
	obj := item.Object().DeepCopyObject().(schema.Object)
	change(obj)
	obj.SetResourceVersion("")
	value, err := schema.Encode(obj)
	if err != nil {
		c.t.Fatal(err)
	}
	key := "/registry/" + path.Join(k.Prefix, namespace, name)
	if _, err := c.store.Commit(c.t.Context(), store.Txn{Puts: []store.Put{{Key: key, Value: value}}}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.reg.Get(c.t.Context(), k, namespace, name, ""); err != nil {
		c.t.Fatal(err)
	}
}
