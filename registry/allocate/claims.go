package allocate

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/store"
)

// claim is a key that one Service takes or releases.
type claim struct {
	key      string
	rev      int64         // the key's revision as known; 0: absent
	previous store.Compare // the Service that a take-over relies on not to use the key; no key: none
}

// Claims are what one write of a Service takes and releases.
type Claims struct {
	Services
	svc       *corev1.Service
	asked     corev1.ServiceSpec // what the client asks for, before allocation
	had       map[string]bool    // the keys that the stored Service claims
	owner     types.NamespacedName
	released  []claim
	taken     []claim
	relied    []store.Compare         // the ServiceCIDRs whose addresses are taken
	used      map[string]map[int]bool // by pool: the numbers known to be in use, or drawn before
	listed    map[string]bool         // by pool: used is complete
	conflicts int
}

// Claims are those of a write that makes svc of the Service whose spec is old; nil: there was none, or there is to be none.
func (s Services) Claims(ctx context.Context, owner types.NamespacedName, old *corev1.ServiceSpec, svc *corev1.Service) (*Claims, error) {
	c := &Claims{Services: s, svc: svc, owner: owner, used: map[string]map[int]bool{}, listed: map[string]bool{}}
	var kept map[string]bool
	if svc != nil {
		c.asked = *svc.Spec.DeepCopy()
		kept = keysOf(svc.Spec)
	}
	if old != nil {
		c.had = keysOf(*old)
	}
	for key := range c.had {
		if kept[key] {
			continue
		}
		if err := c.release(ctx, key); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// keysOf are the keys that a Service's spec claims.
func keysOf(spec corev1.ServiceSpec) map[string]bool {
	keys := map[string]bool{}
	for _, ip := range clusterIPs(spec) {
		keys[addressKey(ip)] = true
	}
	for _, p := range nodePorts(spec) {
		keys[nodePortKey(p)] = true
	}
	return keys
}

// Fill decides what is taken and writes it into the Service. It is *Refusal where the Service cannot have what it asks for, Unavailable
// where a range is used up or not known.
func (c *Claims) Fill(ctx context.Context) error {
	if c.svc == nil {
		return nil
	}
	c.taken, c.relied = nil, nil
	if err := c.fillAddresses(ctx); err != nil {
		return err
	}
	return c.fillPorts(ctx)
}

// Add puts the claims into the Service's transaction.
func (c *Claims) Add(t *store.Txn) error {
	t.Compares = append(t.Compares, c.relied...)
	for _, f := range c.released {
		t.Compares = append(t.Compares, store.Compare{Key: f.key, Revision: f.rev})
		t.Deletes = append(t.Deletes, f.key)
	}
	for _, cl := range c.taken {
		t.Compares = append(t.Compares, store.Compare{Key: cl.key, Revision: cl.rev})
		if cl.previous.Key != "" {
			t.Compares = append(t.Compares, cl.previous)
		}
		value, err := valueOf(cl.key, c.owner)
		if err != nil {
			return err
		}
		t.Puts = append(t.Puts, store.Put{Key: cl.key, Value: value})
	}
	return nil
}

// OnConflict is called after a transaction that did not run although the Service was as expected, with the compared keys. Fill then
// decides again.
func (c *Claims) OnConflict(current map[string]*store.KV) {
	if c.conflicts++; c.conflicts >= tries {
		clear(c.used)
		clear(c.listed)
	}
	released := c.released[:0]
	for _, f := range c.released {
		if kv := current[f.key]; kv != nil && ownerOf(kv) == c.owner {
			released = append(released, claim{key: f.key, rev: kv.ModRevision})
		}
	}
	c.released = released
}

func (c *Claims) use(pool string, n int) {
	if c.used[pool] == nil {
		c.used[pool] = map[int]bool{}
	}
	c.used[pool][n] = true
}

// release frees a key where it is this Service's.
func (c *Claims) release(ctx context.Context, key string) error {
	kv, _, err := c.Store.Get(ctx, key, 0)
	if err != nil {
		return err
	}
	if kv != nil && ownerOf(kv) == c.owner {
		c.released = append(c.released, claim{key: key, rev: kv.ModRevision})
	}
	return nil
}

// takeKey takes one key that the client asked for by name; false: it is another Service's.
func (c *Claims) takeKey(ctx context.Context, key string) (bool, error) {
	kv, _, err := c.Store.Get(ctx, key, 0)
	if err != nil {
		return false, err
	}
	cl := claim{key: key}
	if kv == nil {
		c.taken = append(c.taken, cl)
		return true, nil
	}
	cl.rev = kv.ModRevision
	by := ownerOf(kv)
	if by != c.owner && by != (types.NamespacedName{}) {
		rev, used, err := c.uses(ctx, by, key)
		if err != nil || used {
			return false, err
		}
		cl.previous = store.Compare{Key: serviceKey(by), Revision: rev}
	}
	c.taken = append(c.taken, cl)
	return true, nil
}

// uses tells whether a Service claims a key, and its revision. One that cannot be read counts as using it.
func (s Services) uses(ctx context.Context, owner types.NamespacedName, key string) (rev int64, used bool, err error) {
	svc, rev, err := s.Get(ctx, owner)
	switch {
	case err != nil:
		return 0, false, err
	case svc != nil:
		return rev, keysOf(svc.Spec)[key], nil
	}
	return rev, rev != 0, nil
}

// tries is how many numbers are drawn blindly before the used ones are listed.
const tries = 2

// draw takes a free number of a pool; false: it is used up.
func (c *Claims) draw(ctx context.Context, p pool) (int, bool, error) {
	for {
		if c.conflicts >= tries && !c.listed[p.name] {
			kvs, _, _, err := c.Store.List(ctx, p.prefix, store.RangeEnd(p.prefix), 0, 0)
			if err != nil {
				return 0, false, err
			}
			for _, kv := range kvs {
				if n, ok := p.number(kv.Key); ok {
					c.use(p.name, n)
				}
			}
			c.listed[p.name] = true
		}
		n, ok := p.pick(c.used[p.name])
		if ok {
			c.use(p.name, n)
			c.taken = append(c.taken, claim{key: p.key(n)})
			return n, true, nil
		}
		if c.listed[p.name] {
			return 0, false, nil
		}
		c.conflicts = tries // numbers that seem used up may only have been tried before
		delete(c.used, p.name)
	}
}

// Refusal is the error of a Service that cannot have an address or port that it names.
type Refusal struct{ Err *field.Error }

func (r *Refusal) Error() string { return r.Err.Error() }

func refuse(path *field.Path, value any, reason string) error {
	return &Refusal{field.Invalid(path, value, reason)}
}

func usedUp(what string) error {
	return &store.Error{Kind: store.Unavailable, Reason: "failed to allocate a " + what + ": range is full"}
}

// portClaim is the value of a node port's key.
type portClaim struct {
	Kind      string `json:"kind"` // "NodePort"
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// ownerOf reads the Service that a claim names; the zero name where the value names none.
func ownerOf(kv *store.KV) types.NamespacedName {
	var v struct {
		portClaim
		Spec struct {
			ParentRef struct{ Resource, Namespace, Name string } `json:"parentRef"`
		} `json:"spec"`
	}
	if json.Unmarshal(kv.Value, &v) != nil {
		return types.NamespacedName{}
	}
	o := types.NamespacedName{Namespace: v.Namespace, Name: v.Name}
	if ref := v.Spec.ParentRef; ref.Resource == "services" {
		o = types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	}
	if !store.IsSegment(o.Namespace) || !store.IsSegment(o.Name) {
		return types.NamespacedName{}
	}
	return o
}
