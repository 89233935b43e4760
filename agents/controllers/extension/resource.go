// Package extension reads and deletes the objects of extension servers, which are not in etcd. Gateways pass the requests on.
package extension

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
)

// askTimeout bounds one request, so that a server that hangs delays others no longer.
const askTimeout = 10 * time.Second

var errNoGateway = errors.New("no gateway is configured (--gateway)")

// Resource is a kind of objects of an extension server, in one version.
type Resource struct {
	kschema.GroupVersionResource
	Kind       string
	Namespaced bool
	Verbs      metav1.Verbs
}

// Can tells whether a resource has all of some verbs.
func (r *Resource) Can(verbs ...string) bool {
	for _, v := range verbs {
		if !slices.Contains(r.Verbs, v) {
			return false
		}
	}
	return true
}

// Name is that of messages, "flunders.wardle.example.com".
func (r *Resource) Name() string { return r.Resource + "." + r.Group }

// path is that of a collection or, with a name, an object; a namespace of a cluster-wide resource is left out.
func (r *Resource) path(namespace, name string) string {
	p := "/apis/" + r.Group + "/" + r.Version
	if r.Namespaced && namespace != "" {
		p += "/namespaces/" + url.PathEscape(namespace)
	}
	p += "/" + url.PathEscape(r.Resource)
	if name != "" {
		p += "/" + url.PathEscape(name)
	}
	return p
}

// Resources are what extension servers serve.
type Resources []*Resource

// Of returns the resource of a kind in a version; nil: none.
func (all Resources) Of(apiVersion, kind string) *Resource {
	for _, r := range all {
		if r.Kind == kind && r.GroupVersion().String() == apiVersion {
			return r
		}
	}
	return nil
}

// Preferred has each resource of a group once, in the version that its API services prefer.
func (all Resources) Preferred() (out Resources) {
	seen := map[kschema.GroupResource]bool{}
	for _, r := range all {
		if gr := r.GroupResource(); !seen[gr] {
			seen[gr] = true
			out = append(out, r)
		}
	}
	return out
}

// DiscoveryError has the versions whose resources are not known, each with its error.
type DiscoveryError map[kschema.GroupVersion]error

// Error is worded as Kubernetes' clients do.
func (e DiscoveryError) Error() string {
	var all []string
	for gv, err := range e {
		all = append(all, fmt.Sprintf("%s: %v", gv, err))
	}
	slices.Sort(all)
	return "unable to retrieve the complete list of server APIs: " + strings.Join(all, ", ")
}

// Client asks for the objects of extension servers.
type Client struct {
	// Registry has the API services.
	Registry *controller.Registry
	// Gateway passes requests on; nil: all fail.
	Gateway controller.Gateway
}

// Discovery is what extension servers serve, preferred versions first, and what could not be asked for.
type Discovery struct {
	Resources Resources
	Failed    DiscoveryError
	Unparsed  []error // servers that name another version in a form that is none
}

// Discover asks all extension servers. A cluster without them costs no request.
func (c *Client) Discover(ctx context.Context) (Discovery, error) {
	all, err := registry.For[*registrationv1.APIService](c.Registry).CachedList(ctx, "", "")
	if err != nil {
		return Discovery{}, fmt.Errorf("listing API services: %w", err)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(s *registrationv1.APIService) bool { return s.Spec.Service == nil || s.Spec.Group == "" })
	slices.SortFunc(all, func(a, b *registrationv1.APIService) int {
		return cmp.Or(cmp.Compare(a.Spec.Group, b.Spec.Group), cmp.Compare(b.Spec.VersionPriority, a.Spec.VersionPriority), cmp.Compare(a.Name, b.Name))
	})
	found, errs := make([]Resources, len(all)), make([]error, len(all))
	var asking sync.WaitGroup
	for i, s := range all {
		asking.Go(func() { found[i], errs[i] = c.resourcesOf(ctx, s) })
	}
	asking.Wait()
	d := Discovery{Resources: slices.Concat(found...), Failed: DiscoveryError{}}
	for i, s := range all {
		var unparsed *unparsedError
		switch {
		case errors.As(errs[i], &unparsed):
			d.Unparsed = append(d.Unparsed, errs[i])
		case errs[i] != nil:
			d.Failed[kschema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}] = errs[i]
		}
	}
	return d, ctx.Err()
}

type unparsedError struct{ error }

// resourcesOf are the resources of an API service. One that is not available is not asked.
func (c *Client) resourcesOf(ctx context.Context, s *registrationv1.APIService) (out Resources, err error) {
	gv := kschema.GroupVersion{Group: s.Spec.Group, Version: s.Spec.Version}
	available := slices.ContainsFunc(s.Status.Conditions, func(c registrationv1.APIServiceCondition) bool {
		return c.Type == registrationv1.Available && c.Status == registrationv1.ConditionTrue
	})
	switch {
	case !available:
		return nil, fmt.Errorf("stale GroupVersion discovery: %s", gv)
	case c.Gateway == nil:
		return nil, errNoGateway
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	data, err := c.Gateway.GetPath(ctx, "/apis/"+gv.String())
	if err != nil {
		return nil, err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading the resources of %s: %w", gv, err)
	}
	if _, err := kschema.ParseGroupVersion(list.GroupVersion); err != nil {
		return nil, &unparsedError{err}
	}
	for _, row := range list.APIResources {
		if row.Name != "" && row.Kind != "" && !strings.Contains(row.Name, "/") {
			out = append(out, &Resource{gv.WithResource(row.Name), row.Kind, row.Namespaced, row.Verbs})
		}
	}
	return out, nil
}
