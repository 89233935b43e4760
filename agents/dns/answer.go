package dns

import (
	"bytes"
	"context"
	"net/netip"

	"github.com/miekg/dns"

	"gantry/agents/dns/forward"
	"gantry/agents/dns/records"
	"gantry/agents/dns/wire"
)

// maxHops bounds how many CNAME records are followed.
const maxHops = 8

// resolver answers queries. It is used by one goroutine.
type resolver struct {
	zone    *records.Zone
	ready   func() bool // tells whether the zone has all records
	forward *forward.Forwarder
	query   wire.Query
	reply   wire.Reply
	turn    uint32 // counts the answers, for their records' order
	out     []byte
	// origin tells where the last answer came from, code is its response code.
	origin origin
	code   int
}

// origin is the part of the agent that made an answer, as CoreDNS names its plug-ins.
type origin int

const (
	originNone       origin = iota // malformed or refused queries
	originKubernetes               // the zone
	originCache
	originForward
	origins
)

// Names of the origins in metrics.
var originNames = [origins]string{"", "kubernetes", "cache", "forward"}

func newResolver(zone *records.Zone, ready func() bool, f *forward.Forwarder) *resolver {
	return &resolver{zone: zone, ready: ready, forward: f, out: make([]byte, 0, 4096)}
}

// answer returns the answer to a message, in a buffer that the next call uses too; nil: nothing is sent. stream tells that the answer may
// be long. slow: it takes a question to another server; answerSlow does that.
func (r *resolver) answer(msg []byte, stream bool) (reply []byte, slow bool) {
	r.origin = originNone
	code, ok := r.query.Parse(msg)
	if !ok {
		return nil, false
	}
	limit := 65535
	if !stream {
		limit = r.query.Limit()
	}
	r.reply.Start(&r.query, r.out, limit)
	q := &r.query
	switch {
	case code != wire.NoError:
		return r.finish(code), false
	case q.Class != wire.ClassIN, q.Type == wire.TypeAXFR, q.Type == wire.TypeIXFR:
		return r.finish(wire.Refused), false
	}
	if before, below := q.Below(r.zone.Apex, r.zone.Labels); below {
		return r.answerZone(before)
	}
	if q.Type == wire.TypePTR || q.Type == wire.TypeANY {
		if !r.ready() {
			return r.finish(wire.ServerFailure), false
		}
		if sets, _ := r.zone.Find(q.Name()); sets != nil {
			r.origin = originKubernetes
			r.reply.SetFlags(wire.FlagAuthoritative)
			r.addSets(sets)
			return r.finish(wire.NoError), false
		}
	}
	if code, ok := r.forward.Cached(q, &r.reply); ok {
		r.origin = originCache
		return r.finish(code), false
	}
	return nil, true
}

// answerSlow answers the query for which answer returned slow, by asking other servers. hops is how many CNAME records led to it.
func (r *resolver) answerSlow(ctx context.Context, hops int) []byte {
	q := &r.query
	if _, below := q.Below(r.zone.Apex, r.zone.Labels); !below {
		r.origin = originForward
		return r.finish(r.forward.Resolve(ctx, q, &r.reply))
	}
	r.origin = originKubernetes
	sets, _ := r.zone.Find(q.Name())
	if len(sets) == 0 || sets[0].Type != wire.TypeCNAME { // changed meanwhile
		return r.finish(wire.ServerFailure)
	}
	r.reply.SetFlags(wire.FlagAuthoritative)
	r.reply.Answer(&sets[0], 0)
	if hops >= maxHops {
		return r.finish(wire.ServerFailure)
	}
	return r.finish(r.addTarget(ctx, sets[0].Data(0), hops))
}

// addTarget adds the records of a CNAME's target: clients ask no second time. It returns the response code.
func (r *resolver) addTarget(ctx context.Context, target []byte, hops int) int {
	sub := newResolver(r.zone, r.ready, r.forward)
	answer, slow := sub.answer(wire.NewQuery(target, r.query.Type), true)
	if slow {
		answer = sub.answerSlow(ctx, hops+1)
	}
	var msg dns.Msg
	if err := msg.Unpack(answer); err != nil {
		return wire.ServerFailure
	}
	for _, rr := range msg.Answer {
		buf := make([]byte, dns.Len(rr)+1)
		if n, err := dns.PackRR(rr, buf, 0, nil, false); err == nil {
			r.reply.AnswerRaw(buf[:n])
		}
	}
	return msg.Rcode
}

func (r *resolver) finish(code int) []byte {
	r.code = code
	out := r.reply.Finish(code)
	if cap(out) > cap(r.out) {
		r.out = out[:0]
	}
	r.turn++
	return out
}

// answerZone answers a query of the zone's names; before is the number of labels before the zone's.
func (r *resolver) answerZone(before int) (reply []byte, slow bool) {
	r.origin = originKubernetes
	if !r.ready() {
		return r.finish(wire.ServerFailure), false
	}
	q := &r.query
	sets, exists := r.zone.Find(q.Name())
	if len(sets) > 0 && sets[0].Type == wire.TypeCNAME && q.Type != wire.TypeCNAME && q.Type != wire.TypeANY {
		return nil, true
	}
	r.reply.SetFlags(wire.FlagAuthoritative)
	if before == 0 && q.Type == wire.TypeSOA {
		r.reply.AnswerSOA(0, r.zone.Serial())
		return r.finish(wire.NoError), false
	}
	answered := r.addSets(sets)
	if !exists {
		answered, exists = r.answerPod(before)
	}
	switch {
	case answered:
		return r.finish(wire.NoError), false
	case exists:
		r.reply.Authority(before, r.zone.Serial())
		return r.finish(wire.NoError), false
	}
	r.reply.Authority(before, r.zone.Serial())
	return r.finish(wire.NameError), false
}

// addSets adds those of sets that are asked for, and returns whether there are any.
func (r *resolver) addSets(sets []wire.Set) (found bool) {
	for i := range sets {
		if sets[i].Type == r.query.Type || r.query.Type == wire.TypeANY {
			r.reply.Answer(&sets[i], r.turn)
			found = true
		}
	}
	for i := range sets {
		if sets[i].Type == r.query.Type {
			r.reply.Extra(&sets[i])
		}
	}
	return found
}

var podLabel = []byte("pod")

// answerPod answers for the names of pods, a-b-c-d.<namespace>.pod.<zone>: every address has one, in every namespace, as upstream's default
// ("pods insecure") has it. pod.<zone> and the namespaces below exist, without records.
func (r *resolver) answerPod(before int) (answered, exists bool) {
	q := &r.query
	if before == 0 || before > 3 || !bytes.Equal(q.Label(before-1), podLabel) {
		return false, false
	}
	if before < 3 {
		return false, true
	}
	a, ok := podAddress(q.Label(0))
	if !ok {
		return false, false
	}
	if q.Type == wire.AddressType(a) || q.Type == wire.TypeANY {
		r.reply.AnswerAddress(a)
		return true, true
	}
	return false, true
}

// podAddress reads an address with dashes for its dots or colons.
func podAddress(label []byte) (netip.Addr, bool) {
	if len(label) > len("0000-0000-0000-0000-0000-ffff-255-255-255-255") {
		return netip.Addr{}, false
	}
	var text [64]byte
	for _, separator := range []byte{'.', ':'} {
		for i, c := range label {
			if c == '-' {
				c = separator
			}
			text[i] = c
		}
		if a, err := netip.ParseAddr(string(text[:len(label)])); err == nil && a.Zone() == "" {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// refuse returns the answer to the last query when too many wait for other servers.
func (r *resolver) refuse() []byte { return r.finish(wire.ServerFailure) }
