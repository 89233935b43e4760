package proxy

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The kernel has 16 registers of 4 bytes. The first of every four is numbered 1 to 4 as a register of 16 bytes, the others by their
// own number. nft can list concatenations only when they are numbered like that.
const (
	reg1 = unix.NFT_REG_1
	reg2 = unix.NFT_REG_2
)

// word is the register n words after first.
func word(first uint32, n uint32) uint32 {
	if n == 0 {
		return first
	}
	return unix.NFT_REG32_00 + (first-unix.NFT_REG_1)*4 + n
}

// Offsets in the IPv4, TCP and UDP headers, in bytes.
const (
	ipChecksum       = 10
	ipSource, ipDest = 12, 16
	portDest         = 2
)

func concat(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

func loadIP(offset, reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

func loadProto(reg uint32) expr.Any { return &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg} }

func loadPort(reg uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: expr.PayloadBaseTransportHeader, Offset: portDest, Len: 2}
}

// loadKey is `ip daddr . meta l4proto . th dport`.
func loadKey() []expr.Any {
	return []expr.Any{loadIP(ipDest, reg1), loadProto(word(reg1, 1)), loadPort(word(reg1, 2))}
}

// loadKeyAndClient is `ip daddr . meta l4proto . th dport . ip saddr`.
func loadKeyAndClient() []expr.Any { return append(loadKey(), loadIP(ipSource, word(reg1, 3))) }

// loadSlotKey is `ip daddr . meta l4proto . th dport . numgen random mod n`.
func loadSlotKey(n int) []expr.Any {
	return append(loadKey(), &expr.Numgen{Register: word(reg1, 3), Modulus: uint32(n), Type: unix.NFT_NG_RANDOM})
}

// loadHashedSlotKey is `ip daddr . meta l4proto . th dport . jhash ip saddr mod n`.
func loadHashedSlotKey(n int) []expr.Any {
	return append(loadKey(), loadIP(ipSource, reg2),
		&expr.Hash{SourceRegister: reg2, DestRegister: word(reg1, 3), Length: 4, Modulus: uint32(n), Type: expr.HashTypeJenkins})
}

// loadClient is `ip saddr . meta priority`.
func loadClient() []expr.Any {
	return []expr.Any{loadIP(ipSource, reg1), &expr.Meta{Key: expr.MetaKeyPRIORITY, Register: word(reg1, 1)}}
}

func loadDest() []expr.Any { return []expr.Any{loadIP(ipDest, reg1)} }

func loadPair() []expr.Any { return []expr.Any{loadIP(ipSource, reg1), loadIP(ipDest, word(reg1, 1))} }

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

// dnat is `dnat ip to` the address and port in the first two words.
func dnat() []expr.Any {
	return []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegProtoMin: word(reg1, 1)}}
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
func updateAffinity(n, seconds int) []expr.Any {
	return []expr.Any{
		&expr.Numgen{Register: reg2, Modulus: uint32(n), Type: unix.NFT_NG_RANDOM},
		&expr.Dynset{
			SrcRegKey: reg1, SrcRegData: reg2, SetName: affinitySet,
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

func notFrom(p netip.Prefix) []expr.Any { return address(ipSource, p, expr.CmpOpNeq) }

func from(p netip.Prefix) []expr.Any { return address(ipSource, p, expr.CmpOpEq) }

func to(p netip.Prefix) []expr.Any { return address(ipDest, p, expr.CmpOpEq) }

// address is `ip saddr p`, `ip daddr != p` and so on.
func address(offset uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		loadIP(offset, reg1),
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg1, Data: p.Masked().Addr().AsSlice()},
	}
}

// rewriteAddress is `ip saddr set` or `ip daddr set` what is loaded.
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
