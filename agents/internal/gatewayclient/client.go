// Package gatewayclient reads and writes objects through a gateway. A node's agents use it, because a node may
// not write /registry in etcd. Client implements registry.API, as a Registry does.
package gatewayclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/schema"
)

// Client sends requests to the first of its gateways that answers, and to that one until it does not answer. Safe for
// concurrent use.
type Client struct {
	servers []string // "https://10.0.0.1:6443"
	agent   string
	http    *http.Client
	kinds   *schema.Kinds
	current atomic.Int64 // index of the server that answered last

	mu     sync.Mutex                // guards cached
	cached map[string]*registry.Item // objects as they were last read or written, for Modify
}

// New returns a client for gateways ("https://host:port") with the node's certificate in tlsConfig. agent is the name by which it is seen:
// its User-Agent, under which managedFields record its writes.
func New(servers []string, tlsConfig *tls.Config, kinds *schema.Kinds, agent string) *Client {
	c := &Client{agent: agent, kinds: kinds, cached: map[string]*registry.Item{}}
	for _, s := range servers {
		c.servers = append(c.servers, strings.TrimRight(s, "/"))
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:       tlsConfig.Clone(),
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			ResponseHeaderTimeout: requestTimeout,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   8,
			ForceAttemptHTTP2:     true,
			// Pings detect a gateway that is gone without closing the connection.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		},
		// A gateway never redirects: a redirect is an answer that is an error.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Get is registry.API's Get.
func (c *Client) Get(ctx context.Context, k *schema.Kind, namespace, name, resourceVersion string) (*registry.Item, error) {
	q := url.Values{}
	if resourceVersion != "" {
		q.Set("resourceVersion", resourceVersion)
	}
	return c.item(ctx, call{kind: k, method: http.MethodGet, namespace: namespace, name: name, query: q})
}

// Create is registry.API's Create.
func (c *Client) Create(ctx context.Context, k *schema.Kind, obj schema.Object, o registry.WriteOptions) (*registry.Item, error) {
	body, err := encode(k, obj)
	if err != nil {
		return nil, err
	}
	return c.item(ctx, call{kind: k, method: http.MethodPost, namespace: obj.GetNamespace(), subject: obj.GetName(), query: dryRun(o.DryRun), body: body})
}

// Update is registry.API's Update.
func (c *Client) Update(ctx context.Context, k *schema.Kind, obj schema.Object, o registry.WriteOptions) (*registry.Item, error) {
	obj = obj.DeepCopyObject().(schema.Object)
	if o.ResourceVersion != "" {
		obj.SetResourceVersion(o.ResourceVersion)
	}
	if o.UID != "" {
		obj.SetUID(types.UID(o.UID))
	}
	body, err := encode(k, obj)
	if err != nil {
		return nil, err
	}
	return c.item(ctx, call{
		kind: k, method: http.MethodPut, namespace: obj.GetNamespace(), name: obj.GetName(), subresource: o.Subresource,
		query: dryRun(o.DryRun), body: body,
	})
}

// Delete is registry.API's Delete.
func (c *Client) Delete(ctx context.Context, k *schema.Kind, namespace, name string, o registry.DeleteOptions) (*registry.Item, bool, error) {
	body, err := encodeDelete(o)
	if err != nil {
		return nil, false, err
	}
	cl := call{kind: k, method: http.MethodDelete, namespace: namespace, name: name, body: body}
	data, err := c.do(ctx, cl)
	if err != nil {
		return nil, false, err
	}
	c.dropCached(cl.key())
	if isStatus(data) {
		return nil, true, nil
	}
	item, err := registry.NewItem(k, data)
	if err != nil {
		return nil, false, cl.errorOf(registry.Unavailable, err)
	}
	return item, removed(item.Object()), nil
}

// removed reports whether the object in the answer to a DELETE is removed: it has no finalizers and no grace period left.
func removed(obj schema.Object) bool {
	if len(obj.GetFinalizers()) > 0 {
		return false
	}
	grace := obj.GetDeletionGracePeriodSeconds()
	return obj.GetDeletionTimestamp() == nil || grace == nil || *grace == 0
}

// Token requests a token of a service account.
func (c *Client) Token(ctx context.Context, namespace, serviceAccount string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	k := c.kinds.Set().Resource("", "serviceaccounts")
	if k == nil {
		return nil, &registry.Error{Kind: registry.NotFound, Resource: "serviceaccounts", Name: serviceAccount}
	}
	return c.token(ctx, call{kind: k, method: http.MethodPost, namespace: namespace, name: serviceAccount, subresource: "token"}, req)
}

var _ registry.API = (*Client)(nil)

func dryRun(on bool) url.Values {
	if on {
		return url.Values{"dryRun": {metav1.DryRunAll}}
	}
	return nil
}

// item sends a call whose answer is an object.
func (c *Client) item(ctx context.Context, cl call) (*registry.Item, error) {
	data, err := c.do(ctx, cl)
	if err != nil {
		return nil, err
	}
	item, err := registry.NewItem(cl.kind, data)
	if err != nil {
		return nil, cl.errorOf(registry.Unavailable, fmt.Errorf("reading the gateway's answer: %w", err))
	}
	if len(cl.query["dryRun"]) == 0 {
		c.cache(item)
	}
	return item, nil
}

// call is one request, about an object or, without a kind, to a path.
type call struct {
	kind                         *schema.Kind
	method                       string
	namespace, name, subresource string
	subject                      string // the name in errors, where name is not in the path
	query                        url.Values
	body                         []byte
	url                          string // the path and query of a call without a kind
	accept, contentType          string // JSON where they are empty
}

// path is the path and query of the call.
func (cl call) path() string {
	if cl.kind == nil {
		return cl.url
	}
	parts := []string{"", "apis", cl.kind.Group, cl.kind.Version.Version}
	if cl.kind.Group == "" {
		parts = []string{"", "api", cl.kind.Version.Version}
	}
	if cl.kind.Namespaced {
		parts = append(parts, "namespaces", url.PathEscape(cl.namespace))
	}
	parts = append(parts, cl.kind.Plural)
	if cl.name != "" {
		parts = append(parts, url.PathEscape(cl.name))
	}
	if cl.subresource != "" {
		parts = append(parts, cl.subresource)
	}
	path := strings.Join(parts, "/")
	if len(cl.query) > 0 {
		path += "?" + cl.query.Encode()
	}
	return path
}

func (cl call) key() string {
	return cl.kind.Group + "/" + cl.kind.Plural + "/" + cl.namespace + "/" + cl.name
}

// errorOf returns an error about the call's object.
func (cl call) errorOf(kind registry.ErrorKind, cause error) *registry.Error {
	if cl.kind == nil {
		return &registry.Error{Kind: kind, Cause: cause}
	}
	name := cl.name
	if name == "" {
		name = cl.subject
	}
	return &registry.Error{Kind: kind, Group: cl.kind.Group, Resource: cl.kind.Plural, KindName: cl.kind.Kind, Name: name, Cause: cause}
}

func revision(item *registry.Item) string { return strconv.FormatInt(item.Revision, 10) }
