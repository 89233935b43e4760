package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gantry/agents/internal/nft"
)

// tableName is the agent's table of family ip.
const tableName = "gantry-network"

// ensureMasquerade makes or replaces the table, whose rule masquerades packets from this node's pods to addresses outside of the cluster.
func ensureMasquerade(podCIDR, clusterCIDR netip.Prefix) error {
	rule := nft.Rule{
		Exprs: append(append(address(ipSource, podCIDR, expr.CmpOpEq), address(ipDest, clusterCIDR, expr.CmpOpNeq)...),
			&expr.Masq{FullyRandom: true}),
		Comment: "pods' packets that leave the cluster",
	}
	found, err := nft.Rules(tableName)
	if err != nil {
		return err
	}
	if rs := found["postrouting"]; len(found) == 1 && len(rs) == 1 && rs[0].Fingerprint == rule.Fingerprint() {
		return nil
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	// Adding before deleting makes the deletion valid whether or not there is a table; all is one transaction.
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: tableName}
	conn.AddTable(t)
	conn.DelTable(t)
	conn.AddTable(t)
	c := conn.AddChain(&nftables.Chain{
		Table: t, Name: "postrouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	conn.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: rule.Exprs, UserData: rule.UserData()})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("making table %s: %w", tableName, err)
	}
	return nil
}

func removeMasquerade() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: tableName}
	conn.AddTable(t)
	conn.DelTable(t)
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("removing table %s: %w", tableName, err)
	}
	return nil
}

// Offsets of the addresses in an IPv4 header.
const ipSource, ipDest = 12, 16

// address is `ip saddr p`, `ip daddr != p` and so on.
func address(offset uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: op, Register: unix.NFT_REG_1, Data: p.Masked().Addr().AsSlice()},
	}
}
