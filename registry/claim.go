package registry

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/store"
)

// A claim is a key that makes something unique: a cluster IP (clusterip.go) or a node port (nodeport.go). A Service
// takes and frees its claims in its own transaction, so that neither can exist without the other. A claim whose
// Service is gone or uses something else by now, which only a raw write of etcd leaves behind, may be taken over.
type claim struct {
	key  string
	rev  int64         // the key's revision as known; 0: absent
	more store.Compare // what a take-over stands on besides; no key: nothing
}

// owner is the Service that a claim's value names.
type owner struct{ Namespace, Name string }

// claims are what one write of a Service takes and frees. The zero value does nothing.
type claims struct {
	svc      *corev1.Service
	owner    owner
	free     []claim
	take     []claim
	taken    map[string]map[int]bool // by prefix: the numbers known to be in use, or drawn before
	listed   map[string]bool         // by prefix: taken is complete
	clashes  int
	unfilled func(ctx context.Context, r *Registry, c *claims) error
}

// claimsOf is what the write s takes and frees.
func (r *Registry) claimsOf(ctx context.Context, s *swap) (*claims, error) {
	if s.kind.Group != "" || s.kind.Kind != "Service" {
		return &claims{}, nil
	}
	svc, ok := s.obj.(*corev1.Service)
	if !ok {
		return &claims{}, nil
	}
	c := &claims{
		svc: svc, owner: owner{s.namespace, s.name},
		taken: map[string]map[int]bool{}, listed: map[string]bool{},
	}
	var old corev1.ServiceSpec
	if s.old.item != nil {
		old = s.old.item.Object().(*corev1.Service).Spec
	}
	var spec corev1.ServiceSpec
	if !s.remove {
		spec = svc.Spec
	}
	kept := keysOf(spec)
	for key := range keysOf(old) {
		if kept[key] {
			continue
		}
		if err := c.release(ctx, r, key); err != nil {
			return nil, err
		}
	}
	if s.remove {
		return c, nil
	}
	asked := svc.Spec.DeepCopy() // what the client asks for, before anything is given
	had := keysOf(old)
	c.unfilled = func(ctx context.Context, r *Registry, c *claims) error {
		c.take = nil
		if err := c.fillAddress(ctx, r, *asked, had); err != nil {
			return err
		}
		return c.fillPorts(ctx, r, *asked, had)
	}
	return c, nil
}

// keysOf are the claims that a Service's spec stands on.
func keysOf(spec corev1.ServiceSpec) map[string]bool {
	keys := map[string]bool{}
	if ip, ok := clusterIP(spec); ok {
		keys[addressKey(ip)] = true
	}
	for _, p := range nodePorts(spec) {
		keys[nodePortKey(p)] = true
	}
	return keys
}

// fill decides what is taken and writes it into the Service.
func (c *claims) fill(ctx context.Context, r *Registry) error {
	if c.unfilled == nil {
		return nil
	}
	return c.unfilled(ctx, r, c)
}

// add puts the claims into the Service's transaction.
func (c *claims) add(t *store.Txn) error {
	for _, f := range c.free {
		t.Compares = append(t.Compares, store.Compare{Key: f.key, Revision: f.rev})
		t.Deletes = append(t.Deletes, f.key)
	}
	for _, cl := range c.take {
		t.Compares = append(t.Compares, store.Compare{Key: cl.key, Revision: cl.rev})
		if cl.more.Key != "" {
			t.Compares = append(t.Compares, cl.more)
		}
		value, err := c.value(cl.key)
		if err != nil {
			return err
		}
		t.Puts = append(t.Puts, store.Put{Key: cl.key, Value: value})
	}
	return nil
}

// clashed learns from a transaction that did not run although the Service was as expected.
func (c *claims) clashed(current map[string]*store.KV) {
	if c.clashes++; c.clashes >= tries {
		clear(c.taken)
		clear(c.listed)
	}
	free := c.free[:0]
	for _, f := range c.free {
		if kv := current[f.key]; kv != nil && ownerOf(kv) == c.owner {
			free = append(free, claim{key: f.key, rev: kv.ModRevision})
		}
	}
	c.free = free
}

func (c *claims) use(prefix string, n int) {
	if c.taken[prefix] == nil {
		c.taken[prefix] = map[int]bool{}
	}
	c.taken[prefix][n] = true
}

// release frees a claim where it is this Service's.
func (c *claims) release(ctx context.Context, r *Registry, key string) error {
	kv, _, err := r.store.Get(ctx, key, 0)
	if err != nil {
		return err
	}
	if kv != nil && ownerOf(kv) == c.owner {
		c.free = append(c.free, claim{key: key, rev: kv.ModRevision})
	}
	return nil
}

// ask takes one claim that the client asked for by name; false: it is another Service's.
func (c *claims) ask(ctx context.Context, r *Registry, key string) (bool, error) {
	kv, _, err := r.store.Get(ctx, key, 0)
	if err != nil {
		return false, err
	}
	cl := claim{key: key}
	if kv == nil {
		c.take = append(c.take, cl)
		return true, nil
	}
	cl.rev = kv.ModRevision
	by := ownerOf(kv)
	if by != c.owner && by != (owner{}) {
		rev, used, err := r.uses(ctx, by, key)
		if err != nil || used {
			return false, err
		}
		cl.more = store.Compare{Key: serviceKey(by), Revision: rev}
	}
	c.take = append(c.take, cl)
	return true, nil
}

// uses tells whether a Service stands on a claim, and its revision. One that cannot be read is taken to.
func (r *Registry) uses(ctx context.Context, o owner, key string) (rev int64, used bool, err error) {
	k := r.kinds.Set().Resource("", "services")
	if k == nil {
		return 0, false, nil
	}
	st, err := r.read(ctx, target{k, o.Namespace, o.Name, serviceKey(o)})
	switch {
	case err != nil:
		return 0, false, err
	case st.item != nil:
		return st.rev, keysOf(st.item.Object().(*corev1.Service).Spec)[key], nil
	}
	return st.rev, st.rev != 0, nil
}

func serviceKey(o owner) string {
	return registryPrefix + "services/specs/" + o.Namespace + "/" + o.Name
}

// tries is how many numbers are drawn blindly before the used ones are listed.
const tries = 2

// draw takes a free number of a pool, whose claims have the given keys; false: it is used up.
func (c *claims) draw(ctx context.Context, r *Registry, prefix string, p pool, key func(int) string, number func(string) (int, bool)) (int, bool, error) {
	for {
		if c.clashes >= tries && !c.listed[prefix] {
			kvs, _, _, err := r.store.List(ctx, prefix, store.RangeEnd(prefix), 0, 0)
			if err != nil {
				return 0, false, err
			}
			for _, kv := range kvs {
				if n, ok := number(kv.Key); ok {
					c.use(prefix, n)
				}
			}
			c.listed[prefix] = true
		}
		n, ok := p.pick(c.taken[prefix])
		if ok {
			c.use(prefix, n)
			c.take = append(c.take, claim{key: key(n)})
			return n, true, nil
		}
		if c.listed[prefix] {
			return 0, false, nil
		}
		c.clashes = tries // what seems used up may only have been tried before
		delete(c.taken, prefix)
	}
}

func (c *claims) invalid(path *field.Path, value any, reason string) error {
	return &Error{
		Kind: Invalid, Resource: "services", KindName: "Service", Name: c.owner.Name,
		Fields: field.ErrorList{field.Invalid(path, value, reason)},
	}
}

func (c *claims) full(what string) error {
	return &Error{
		Kind: Unavailable, Resource: "services", KindName: "Service", Name: c.owner.Name,
		Reason: fmt.Sprintf("failed to allocate a %s: range is full", what),
	}
}

// portClaim is the value of a node port's key.
type portClaim struct {
	Kind      string `json:"kind"` // "NodePort"
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// ownerOf reads who holds a claim; the zero owner where the value does not say.
func ownerOf(kv *store.KV) owner {
	var v struct {
		portClaim
		Spec struct {
			ParentRef struct{ Resource, Namespace, Name string } `json:"parentRef"`
		} `json:"spec"`
	}
	if json.Unmarshal(kv.Value, &v) != nil {
		return owner{}
	}
	o := owner{v.Namespace, v.Name}
	if ref := v.Spec.ParentRef; ref.Resource == "services" {
		o = owner{ref.Namespace, ref.Name}
	}
	if !isSegment(o.Namespace) || !isSegment(o.Name) {
		return owner{}
	}
	return o
}
