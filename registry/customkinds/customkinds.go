// Package customkinds keeps the kinds that CustomResourceDefinitions define among the kinds of a process. It learns them from etcd itself: no
// gateway and no controller is asked.
package customkinds

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"gantry/registry"
	"gantry/registry/history"
	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/apiextensions"
	"gantry/schema/customresource"
)

type definition = apiextensionsv1.CustomResourceDefinition

// Follower adds the kinds of definitions to those of a registry, and removes them, as definitions change.
type Follower struct {
	registry *registry.Registry
	log      *slog.Logger
	loaded   chan struct{}         // closed when the kinds of all definitions there were at the start are served
	finish   func()                // closes loaded, once
	known    map[string]*known     // by the name of the definition
	own      map[*schema.Kind]bool // the kinds in the registry that are the follower's
}

// webhookTimeout is how long a conversion webhook may take for one request; admission webhooks may take as long.
const webhookTimeout = 30 * time.Second

// known is what is known of a definition.
type known struct {
	revision int64
	content  [sha256.Size]byte // of what makes its kind
	kind     *schema.Kind      // nil: there is none, see err
	err      error             // why kind is nil or not served, of a definition that is to be served
}

// New returns the follower of r's definitions. It starts nothing.
func New(r *registry.Registry, log *slog.Logger) *Follower {
	f := &Follower{registry: r, log: log, loaded: make(chan struct{}), known: map[string]*known{}, own: map[*schema.Kind]bool{}}
	f.finish = sync.OnceFunc(func() { close(f.loaded) })
	return f
}

// Loaded is closed when the kinds of all definitions that there were at the start are served.
func (f *Follower) Loaded() <-chan struct{} { return f.loaded }

// Ready returns an error until Loaded is closed.
func (f *Follower) Ready(context.Context) error {
	select {
	case <-f.loaded:
		return nil
	default:
		return fmt.Errorf("the definitions of custom kinds are not read yet")
	}
}

// Run follows the definitions until ctx is done.
func (f *Follower) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	wake := make(chan struct{}, 1)
	notify := func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	g.Go(func() error {
		_ = f.registry.FollowAll(ctx, map[*schema.Kind]func(registry.Change){
			apiextensions.CustomResourceDefinition: func(registry.Change) { notify() },
		}, notify) // its only error is ctx's
		return nil
	})
	g.Go(func() error {
		for {
			select {
			case <-wake:
			case <-ctx.Done():
				return nil
			}
			list, err := f.registry.List(ctx, apiextensions.CustomResourceDefinition, "", registry.ListOptions{ResourceVersion: "0"})
			if err != nil {
				if ctx.Err() == nil {
					f.log.Warn("definitions of custom kinds not read", "err", err)
				}
				continue
			}
			f.update(list.Items)
			f.finish()
		}
	})
	return g.Wait()
}

// update makes the kinds served that items, all definitions there are, define. What has not changed costs a look-up.
func (f *Follower) update(items []*registry.Item) {
	var changed []*known // in the order of items
	names := map[*known]string{}
	var gone []*schema.Kind
	for _, it := range items {
		was := f.known[it.Name]
		now := was
		if was == nil || was.revision != it.Revision {
			now = read(it, was, f.post)
			f.known[it.Name] = now
		}
		if was != nil && was.kind != nil && (now.kind == nil || now.kind.GR() != was.kind.GR()) {
			gone = append(gone, was.kind)
		}
		if now.kind != nil && (was == nil || was.kind != now.kind || now.err != nil) {
			changed = append(changed, now)
			names[now] = it.Name
		}
		if now.err != nil && now.kind == nil && (was == nil || was.err == nil || was.err.Error() != now.err.Error()) {
			f.log.Warn("custom kind not served", "name", it.Name, "err", now.err)
		}
	}
	gone = append(gone, f.forget(items)...)
	if len(changed)+len(gone) == 0 {
		return
	}
	_ = f.registry.Kinds().Update(func(s *schema.Set) (*schema.Set, error) { // it returns no error
		for _, k := range gone {
			s = s.Without(k)
			delete(f.own, k)
		}
		for _, now := range changed {
			with, err := add(s, now.kind, f.own)
			if err != nil && (now.err == nil || now.err.Error() != err.Error()) {
				f.log.Warn("custom kind not served", "name", names[now], "err", err)
			}
			if now.err = err; err == nil {
				delete(f.own, s.Resource(now.kind.Group, now.kind.Plural))
				s, f.own[now.kind] = with, true
			}
		}
		return s, nil
	})
}

// forget removes the definitions that are not in items, and returns the kinds that they had.
func (f *Follower) forget(items []*registry.Item) (gone []*schema.Kind) {
	if len(f.known) == len(items) {
		return nil // every item is known
	}
	there := make(map[string]bool, len(items))
	for _, it := range items {
		there[it.Name] = true
	}
	for name, was := range f.known {
		if !there[name] {
			delete(f.known, name)
			if was.kind != nil {
				gone = append(gone, was.kind)
			}
		}
	}
	return gone
}

// add returns s with k in it. A kind of another definition, or one that is built in, is not replaced.
func add(s *schema.Set, k *schema.Kind, own map[*schema.Kind]bool) (*schema.Set, error) {
	if other := s.Resource(k.Group, k.Plural); other != nil && !own[other] {
		return nil, fmt.Errorf("%s is the name of a kind that is built in", k.GR())
	}
	return s.With(k)
}

// read makes the kind of a definition; was, which may be nil, is kept where what makes the kind has not changed.
func read(it *registry.Item, was *known, post customresource.Post) *known {
	now := &known{revision: it.Revision}
	now.err = safely.Call(func() error {
		d := it.Object().(*definition)
		if !customresource.Served(d) {
			return nil
		}
		text, err := json.Marshal([]any{d.Spec, d.Status.AcceptedNames, apiextensions.HasCondition(d, apiextensionsv1.Terminating)})
		if err != nil {
			return err
		}
		if now.content = sha256.Sum256(text); was != nil && was.content == now.content {
			now.kind = was.kind
			return was.err
		}
		now.kind, err = customresource.Kind(d, post)
		return err
	})
	return now
}

// post asks a conversion webhook, as admission webhooks are asked.
func (f *Follower) post(ctx context.Context, to *apiextensionsv1.WebhookClientConfig, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	config := &admissionv1.WebhookClientConfig{URL: to.URL, CABundle: to.CABundle}
	if s := to.Service; s != nil {
		config.Service = &admissionv1.ServiceReference{Namespace: s.Namespace, Name: s.Name, Path: s.Path, Port: s.Port}
	}
	return f.registry.CallWebhook(ctx, config, body)
}

// Read is set with the kinds of the definitions in etcd. They convert no objects by webhooks. bad are definitions whose kind cannot be served, by the name of the definition.
func Read(ctx context.Context, s store.Store, set *schema.Set) (with *schema.Set, bad map[string]error, err error) {
	prefix := registry.Key(apiextensions.CustomResourceDefinition, "", "")
	kvs, _, _, err := s.List(ctx, prefix, store.RangeEnd(prefix), 0, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the definitions of custom kinds: %w", err)
	}
	bad = map[string]error{}
	for _, kv := range kvs {
		name := strings.TrimPrefix(kv.Key, prefix)
		it, err := registry.Read(set, kv.Key, &history.Version{Value: kv.Value, Revision: kv.ModRevision})
		if err != nil {
			bad[name] = err
			continue
		}
		now := read(it, nil, nil)
		if now.kind != nil && now.err == nil {
			var next *schema.Set
			if next, now.err = add(set, now.kind, nil); now.err == nil {
				set = next
			}
		}
		if now.err != nil {
			bad[name] = now.err
		}
	}
	return set, bad, nil
}
