package gatewayclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
	"gantry/schema"
)

const (
	// requestTimeout bounds one request to one gateway. A gateway itself ends a request after 60 s.
	requestTimeout = 30 * time.Second
	// maxAnswer bounds what is read of an answer. It is larger than any value that etcd takes.
	maxAnswer = 8 << 20 // bytes
)

var errNoGateway = errors.New("no gateway is configured")

// do sends a call to the gateway that answered last and, where that cannot be reached, to the others in turn. A write
// is sent to another gateway only when it was certainly not sent before.
func (c *Client) do(ctx context.Context, cl call) ([]byte, error) {
	if len(c.servers) == 0 {
		return nil, cl.errorOf(registry.Unavailable, errNoGateway)
	}
	start := c.current.Load()
	var last error
	for i := range int64(len(c.servers)) {
		at := (start + i) % int64(len(c.servers))
		data, answered, err := c.sendTo(ctx, c.servers[at], cl)
		if answered {
			c.current.Store(at)
			return data, err
		}
		last = err
		if ctx.Err() != nil {
			break
		}
		if cl.method != http.MethodGet && !notSent(err) {
			e := cl.errorOf(registry.Timeout, err)
			e.UnknownOutcome = true
			return nil, e
		}
	}
	if ctx.Err() != nil {
		e := cl.errorOf(registry.Timeout, ctx.Err())
		e.UnknownOutcome = cl.method != http.MethodGet && !notSent(last)
		return nil, e
	}
	return nil, cl.errorOf(registry.Unavailable, last)
}

// sendTo sends a call to one gateway; answered is false where no answer came.
func (c *Client) sendTo(ctx context.Context, server string, cl call) (data []byte, answered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := c.request(ctx, server, cl)
	if err != nil {
		return nil, true, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("reading the answer of %s: %w", server, err)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, true, cl.statusError(resp, data)
	}
	return data, true, nil
}

// request is a call as a request to one gateway.
func (c *Client) request(ctx context.Context, server string, cl call) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, cl.method, server+cl.path(), bytes.NewReader(cl.body))
	if err != nil {
		return nil, cl.errorOf(registry.BadRequest, err)
	}
	req.Header.Set("Accept", cmp.Or(cl.accept, "application/json"))
	req.Header.Set("User-Agent", c.agent)
	if cl.body != nil {
		req.Header.Set("Content-Type", cmp.Or(cl.contentType, "application/json"))
	}
	return req, nil
}

func encode(k *schema.Kind, obj schema.Object) ([]byte, error) {
	if obj.GetObjectKind().GroupVersionKind() != k.GVK() {
		obj = obj.DeepCopyObject().(schema.Object)
		k.SetTypeMeta(obj)
	}
	body, err := schema.Encode(obj)
	if err != nil {
		return nil, &registry.Error{Kind: registry.BadRequest, Group: k.Group, Resource: k.Plural, KindName: k.Kind, Name: obj.GetName(), Cause: err}
	}
	return body, nil
}

// encodeDelete is o as the body of a DELETE.
func encodeDelete(o registry.DeleteOptions) ([]byte, error) {
	d := metav1.DeleteOptions{
		TypeMeta: metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"}, GracePeriodSeconds: o.GracePeriodSeconds,
	}
	if o.DryRun {
		d.DryRun = []string{metav1.DryRunAll}
	}
	if o.Propagation != "" {
		p := metav1.DeletionPropagation(o.Propagation)
		d.PropagationPolicy = &p
	}
	if o.UID != "" || o.ResourceVersion != "" {
		d.Preconditions = &metav1.Preconditions{}
		if o.UID != "" {
			uid := types.UID(o.UID)
			d.Preconditions.UID = &uid
		}
		if o.ResourceVersion != "" {
			d.Preconditions.ResourceVersion = &o.ResourceVersion
		}
	}
	return json.Marshal(d)
}

// token sends a call whose body and answer are a TokenRequest.
func (c *Client) token(ctx context.Context, cl call, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	req = req.DeepCopy()
	req.TypeMeta = metav1.TypeMeta{Kind: "TokenRequest", APIVersion: "authentication.k8s.io/v1"}
	body, err := json.Marshal(req)
	if err != nil {
		return nil, cl.errorOf(registry.BadRequest, err)
	}
	cl.body = body
	data, err := c.do(ctx, cl)
	if err != nil {
		return nil, err
	}
	out := &authenticationv1.TokenRequest{}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, cl.errorOf(registry.Unavailable, fmt.Errorf("reading the gateway's answer: %w", err))
	}
	return out, nil
}

// notSent reports whether the connection could not be opened, so that the request was not sent.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
