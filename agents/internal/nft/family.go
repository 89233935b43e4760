package nft

import (
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Family is IPv4 or IPv6 as nftables sees it.
type Family struct {
	// Name is that of nft's commands: "ip", "ip6".
	Name string
	// Table is the family of tables. It has the same number as the family of NAT expressions.
	Table nftables.TableFamily
	// Socket is the family of sockets, routes and conntrack: unix.AF_INET, unix.AF_INET6.
	Socket uint8
	// AddrLen is the length of an address in bytes, AddrType its type in sets.
	AddrLen  uint32
	AddrType nftables.SetDatatype
	// Source and Dest are the offsets of the addresses in the header, in bytes.
	Source, Dest uint32
	// PortUnreachable is the code of the ICMP message that says so.
	PortUnreachable uint8
}

// IPv4 and IPv6 are the two families.
var (
	IPv4 = &Family{"ip", nftables.TableFamilyIPv4, unix.AF_INET, 4, nftables.TypeIPAddr, 12, 16, 3}
	IPv6 = &Family{"ip6", nftables.TableFamilyIPv6, unix.AF_INET6, 16, nftables.TypeIP6Addr, 8, 24, 4}
)

// FamilyOf returns the family of an address. One that is not valid is taken for IPv4's.
func FamilyOf(a netip.Addr) *Family {
	if a.Is6() {
		return IPv6
	}
	return IPv4
}

// First returns the first range of a family; not valid where there is none.
func (f *Family) First(ranges []netip.Prefix) netip.Prefix {
	for _, p := range ranges {
		if FamilyOf(p.Addr()) == f {
			return p
		}
	}
	return netip.Prefix{}
}

// Load loads the address at offset, Source or Dest, into a register.
func (f *Family) Load(offset, register uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.AddrLen}
}

// Match is `ip saddr p`, `ip6 daddr != p` and so on.
func (f *Family) Match(offset uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		f.Load(offset, unix.NFT_REG_1),
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: f.AddrLen,
			Mask: net.CIDRMask(p.Bits(), int(f.AddrLen)*8), Xor: make([]byte, f.AddrLen),
		},
		&expr.Cmp{Op: op, Register: unix.NFT_REG_1, Data: p.Masked().Addr().AsSlice()},
	}
}
