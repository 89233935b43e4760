package proxy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The kernel has 16 registers of 4 bytes, here called words. The first of every four is numbered 1 to 4 as a register of 16 bytes, the others by their
// own number. nft can list concatenations only when they are numbered like that.
const reg1 = unix.NFT_REG_1

// word is the register n words after the first one.
func word(n uint32) uint32 {
	if n%4 == 0 {
		return unix.NFT_REG_1 + n/4
	}
	return unix.NFT_REG32_00 + n
}

// Offsets in the IPv4 and in the TCP, UDP and SCTP headers, in bytes.
const (
	ipChecksum = 10
	portDest   = 2
)

// addrWords is how many words an address has.
func (l *layout) addrWords() uint32 { return l.family.AddrLen / 4 }

// slotWord is the register of the last word of a slot's key.
func (l *layout) slotWord() uint32 { return word(l.addrWords() + 2) }

// scratch is a register behind the words of a slot's key.
func (l *layout) scratch() uint32 { return word((l.addrWords() + 2 + 3) / 4 * 4) }

func concat(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

func loadProto(reg uint32) expr.Any { return &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg} }

func loadPort(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: portDest, Len: 2}
}

// loadKey is `ip daddr . meta l4proto . th dport`.
func (l *layout) loadKey() []expr.Any {
	n := l.addrWords()
	return []expr.Any{l.family.Load(l.family.Dest, reg1), loadProto(word(n)), loadPort(word(n + 1))}
}

// loadKeyAndClient is `ip daddr . meta l4proto . th dport . ip saddr`.
func (l *layout) loadKeyAndClient() []expr.Any {
	return append(l.loadKey(), l.family.Load(l.family.Source, l.slotWord()))
}

// loadSlotKey is `ip daddr . meta l4proto . th dport . numgen random mod n`.
func (l *layout) loadSlotKey(n int) []expr.Any {
	return append(l.loadKey(), &expr.Numgen{Register: l.slotWord(), Modulus: uint32(n), Type: unix.NFT_NG_RANDOM})
}

// loadHashedSlotKey is `ip daddr . meta l4proto . th dport . jhash ip saddr mod n`.
func (l *layout) loadHashedSlotKey(n int) []expr.Any {
	client := l.scratch()
	return append(l.loadKey(), l.family.Load(l.family.Source, client),
		&expr.Hash{SourceRegister: client, DestRegister: l.slotWord(), Length: l.family.AddrLen, Modulus: uint32(n), Type: expr.HashTypeJenkins})
}

// loadClient is `ip saddr . meta priority`.
func (l *layout) loadClient() []expr.Any {
	return []expr.Any{l.family.Load(l.family.Source, reg1), &expr.Meta{Key: expr.MetaKeyPRIORITY, Register: word(l.addrWords())}}
}

func (l *layout) loadDest() []expr.Any { return []expr.Any{l.family.Load(l.family.Dest, reg1)} }

func (l *layout) loadPair() []expr.Any {
	return []expr.Any{l.family.Load(l.family.Source, reg1), l.family.Load(l.family.Dest, word(l.addrWords()))}
}

// vmap is `vmap @set` of what is loaded. The verdict register is number 0.
func vmap(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: set}}
}

func isIn(set string) []expr.Any { return []expr.Any{&expr.Lookup{SourceRegister: reg1, SetName: set}} }

func isNotIn(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg1, SetName: set, Invert: true}}
}

// lookupMap loads what the map has for what is loaded; without an entry the rule does not match.
func lookupMap(set string, to uint32) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: reg1, DestRegister: to, IsDestRegSet: true, SetName: set}}
}

// dnat is `dnat ip to` the address and port in the first words.
func (l *layout) dnat() []expr.Any {
	return []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(l.family.Table), RegAddrMin: reg1, RegProtoMin: word(l.addrWords())}}
}

// storePriority is `meta priority set` what is loaded.
func storePriority() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: reg1, SourceRegister: true}}
}

func loadPriority(reg uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyPRIORITY, Register: reg}}
}

// updateAffinity is `update @affinity { <what is loaded> timeout t : numgen random mod n }`. The kernel keeps the data of an existing
// entry and only renews its timeout.
func (l *layout) updateAffinity(n, seconds int) []expr.Any {
	number := l.scratch()
	return []expr.Any{
		&expr.Numgen{Register: number, Modulus: uint32(n), Type: unix.NFT_NG_RANDOM},
		&expr.Dynset{
			SrcRegKey: reg1, SrcRegData: number, SetName: affinitySet,
			Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: time.Duration(seconds) * time.Second,
		},
	}
}

func jump(chain string) []expr.Any { return jumpTo(expr.VerdictJump, chain) }

func jumpTo(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{FullyRandom: true}} }

func isTCP() []expr.Any {
	return []expr.Any{loadProto(reg1), &expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{unix.IPPROTO_TCP}}}
}

// newFlow is `ct state new`.
func newFlow() []expr.Any { return ctBit(expr.CtKeySTATE, expr.CtStateBitNEW) }

// wasDNAT is `ct status dnat`: IPS_DST_NAT.
func wasDNAT() []expr.Any { return ctBit(expr.CtKeySTATUS, 1<<5) }

func ctBit(k expr.CtKey, bit uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: k, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bit), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)},
	}
}

// masqMark is the bit of the packet's mark that carries, from the choice of the endpoint to postrouting, that the source is to be
// masqueraded. It is kube-proxy's bit, which other tools leave alone. (`ct original daddr` would need no mark, but nft up to
// 1.0 aborts when it lists that in a concatenation.) On a reply to a loopback client it carries, to loopback-input, that the
// destination is to be 127.0.0.1 again.
const masqMark = 0x4000

// setMasqMark is `meta mark set mark or 0x4000`.
func setMasqMark() []expr.Any { return writeMark(^uint32(masqMark), masqMark) }

// clearMasqMark is `meta mark set mark and not 0x4000`.
func clearMasqMark() []expr.Any { return writeMark(^uint32(masqMark), 0) }

// writeMark is `meta mark set mark and mask xor bits`.
func writeMark(mask, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg1},
		&expr.Bitwise{
			SourceRegister: reg1, DestRegister: reg1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: binaryutil.NativeEndian.PutUint32(bits),
		},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg1, SourceRegister: true},
	}
}

// hasMasqMark is `meta mark and 0x4000 == 0x4000`.
func hasMasqMark() []expr.Any {
	bit := binaryutil.NativeEndian.PutUint32(masqMark)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: bit, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: bit},
	}
}

// notLoopback is `oifname != "lo"` or, with MetaKeyIIFNAME, `iifname != "lo"`.
func notLoopback(which expr.MetaKey) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, "lo")
	return []expr.Any{&expr.Meta{Key: which, Register: reg1}, &expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: name}}
}

func (l *layout) notFrom(p netip.Prefix) []expr.Any {
	return l.family.Match(l.family.Source, p, expr.CmpOpNeq)
}

func (l *layout) from(p netip.Prefix) []expr.Any {
	return l.family.Match(l.family.Source, p, expr.CmpOpEq)
}

func (l *layout) to(p netip.Prefix) []expr.Any {
	return l.family.Match(l.family.Dest, p, expr.CmpOpEq)
}

// rewriteAddress is `ip saddr set` or `ip daddr set` what is loaded, in IPv4.
func rewriteAddress(offset uint32) []expr.Any {
	return []expr.Any{&expr.Payload{
		OperationType: expr.PayloadWrite, SourceRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4,
		CsumType: expr.CsumTypeInet, CsumOffset: ipChecksum, CsumFlags: unix.NFT_PAYLOAD_L4CSUM_PSEUDOHDR,
	}}
}

func constant(a netip.Addr) []expr.Any {
	return []expr.Any{&expr.Immediate{Register: reg1, Data: a.AsSlice()}}
}

// Directions of a packet in its flow.
const original, reply = 0, 1

// direction is `ct direction d`.
func direction(d byte) []expr.Any {
	return []expr.Any{&expr.Ct{Key: expr.CtKeyDIRECTION, Register: reg1}, &expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{d}}}
}

// fromHost is `fib saddr type local`.
func fromHost() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: reg1, FlagSADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}
