package proxy

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// setID names a set or map of the table.
type setID int

// The sets and maps that hold compiled elements, in the order in which they are filled; they are emptied in the reverse order.
const (
	hairpins setID = iota
	clusterAddrs
	loopbackPods
	slots
	masqKeys
	loopbackKeys
	stickyKeys
	sourceRanges
	restricted
	unserved
	services
	setCount
)

// element is the set and the encoded key of one element; in sourceRanges the first and the last key of an interval. Two elements are
// equal when their bytes are.
type element struct {
	set setID
	key string
}

// elements maps elements to their encoded data: an address, an address and port, a number, the name of a chain, or nothing.
type elements map[element]string

// sharedElement is an element that several frontends may need, with its data.
type sharedElement struct {
	element
	data string
}

// words encodes a concatenation of nftables: every part is padded with zeros to a multiple of 4 bytes.
func words(parts ...[]byte) string {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return string(b)
}

func addrBytes(a netip.Addr) []byte { return a.AsSlice() }

func portBytes(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }

func (k key) words() string { return words(addrBytes(k.addr), []byte{k.proto}, portBytes(k.port)) }

// group is the encoded key that an element belongs to; the elements of one group change in one transaction. "": shared.
func (e element) group() string {
	switch e.set {
	case hairpins, clusterAddrs, loopbackPods:
		return ""
	case slots:
		return e.key[:max(0, len(e.key)-4)] // the slot's number follows
	case sourceRanges:
		return e.key[:len(e.key)/2-len(e.client())]
	}
	return e.key
}

// client is the address behind the key in the first half of an element of sourceRanges, as long as that in the key.
func (e element) client() string {
	half := len(e.key) / 2
	return e.key[half-max(0, half-protocolAndPort)/2 : half]
}

// protocolAndPort is the length of what follows the address in an encoded key.
const protocolAndPort = 8

// shared returns the elements of f that other frontends may need too. f may be nil.
func (f *frontend) shared() []sharedElement {
	if f == nil {
		return nil
	}
	var out []sharedElement
	if f.cluster {
		out = append(out, sharedElement{element{clusterAddrs, words(addrBytes(f.key.addr))}, ""})
	}
	for _, a := range f.hairpin {
		out = append(out, sharedElement{element{hairpins, words(addrBytes(a), addrBytes(a))}, ""})
	}
	if f.source.IsValid() {
		for _, ep := range f.slots {
			out = append(out, sharedElement{element{loopbackPods, words(addrBytes(ep.Addr()))}, words(addrBytes(f.source))})
		}
	}
	return out
}

// add puts the elements that only f has into es. f may be nil.
func (f *frontend) add(es elements) {
	if f == nil {
		return
	}
	k := f.key.words()
	if f.restricted {
		es[element{restricted, k}] = ""
		for _, p := range f.sources {
			es[element{sourceRanges, words([]byte(k), addrBytes(p.Addr()), []byte(k), addrBytes(lastAddr(p)))}] = ""
		}
	}
	if f.chain == "" {
		es[element{unserved, k}] = f.unserved
		return
	}
	es[element{services, k}] = f.chain
	if f.masq {
		es[element{masqKeys, k}] = ""
	}
	if f.source.IsValid() {
		es[element{loopbackKeys, k}] = words(addrBytes(f.source))
	}
	if f.affinityID != 0 {
		es[element{stickyKeys, k}] = hostOrder(f.affinityID)
	}
	for i, ep := range f.slots {
		es[element{slots, k + hostOrder(uint32(i))}] = words(addrBytes(ep.Addr()), portBytes(ep.Port()))
	}
}

// hostOrder encodes a number as numgen, jhash and the packet's priority hold it: in the host's byte order.
func hostOrder(n uint32) string { return string(binary.NativeEndian.AppendUint32(nil, n)) }

func readHostOrder(s string) uint32 { return binary.NativeEndian.Uint32([]byte(s)) }

// decodeFrontends returns the frontends of elements, with chain, slots and affinity ID only. Pure.
func decodeFrontends(es elements) map[key]*frontend {
	out := map[key]*frontend{}
	at := func(e element) *frontend {
		k, ok := decodeKey(e.group())
		if !ok {
			return &frontend{}
		}
		if out[k] == nil {
			out[k] = &frontend{key: k}
		}
		return out[k]
	}
	for e, data := range es {
		switch e.set {
		case services:
			at(e).chain = data
		case stickyKeys:
			if len(data) == 4 {
				at(e).affinityID = readHostOrder(data)
			}
		case slots:
			if len(e.key) < 4 || len(data) < 4 {
				continue
			}
			n := readHostOrder(e.key[len(e.key)-4:])
			if f := at(e); n < 1<<16 {
				f.slots = append(f.slots, make([]netip.AddrPort, max(0, int(n)+1-len(f.slots)))...)
				f.slots[n] = netip.AddrPortFrom(readAddr(data[:len(data)-4]), binary.BigEndian.Uint16([]byte(data[len(data)-4:])))
			}
		}
	}
	return out
}

func decodeKey(s string) (key, bool) {
	n := len(s) - protocolAndPort
	if n < 0 {
		return key{}, false
	}
	a := readAddr(s[:n])
	return key{a, s[n], binary.BigEndian.Uint16([]byte(s[n+4:]))}, a.IsValid()
}

// readAddr decodes an address; one of another length is not valid.
func readAddr(b string) netip.Addr {
	a, _ := netip.AddrFromSlice([]byte(b))
	return a
}

// nft returns the element for google/nftables. Verdicts are `goto chain`.
func (e element) nft(data string) nftables.SetElement {
	out := e.nftKey()
	switch e.set {
	case services, unserved:
		out.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: data}
	case slots, loopbackKeys, loopbackPods, stickyKeys:
		out.Val = []byte(data)
	}
	return out
}

// nftKey returns the element without its data.
func (e element) nftKey() nftables.SetElement {
	key := []byte(e.key)
	if e.set == sourceRanges {
		return nftables.SetElement{Key: key[:len(key)/2], KeyEnd: key[len(key)/2:]}
	}
	return nftables.SetElement{Key: key}
}

// decodeElement decodes an element that the kernel returned.
func decodeElement(set setID, e nftables.SetElement) (key element, data string) {
	key = element{set, string(e.Key) + string(e.KeyEnd)}
	switch set {
	case services, unserved:
		data = decodeGoto(e.Val)
	case slots, loopbackKeys, loopbackPods, stickyKeys:
		data = string(e.Val)
	}
	return key, data
}

// decodeGoto decodes a verdict's attributes, NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN. Another verdict than goto is returned as
// "", so that the element differs from every wanted one and is replaced.
func decodeGoto(b []byte) (chain string) {
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return ""
	}
	ad.ByteOrder = binary.BigEndian
	kind := expr.VerdictReturn
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_VERDICT_CODE:
			kind = expr.VerdictKind(int32(ad.Uint32()))
		case unix.NFTA_VERDICT_CHAIN:
			chain = ad.String()
		}
	}
	if ad.Err() != nil || kind != expr.VerdictGoto {
		return ""
	}
	return chain
}
