package network

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"gantry/agents/internal/nft"
)

// tableName is the name of the agent's table in each family.
const tableName = "gantry-network"

// ensureMasquerade makes or replaces the family's table, whose rule masquerades packets from this node's pods to addresses outside of the
// cluster.
func ensureMasquerade(podCIDR, clusterCIDR netip.Prefix) error {
	f := nft.FamilyOf(podCIDR.Addr())
	rule := nft.Rule{
		Exprs: append(append(f.Match(f.Source, podCIDR, expr.CmpOpEq), f.Match(f.Dest, clusterCIDR, expr.CmpOpNeq)...),
			&expr.Masq{FullyRandom: true}),
		Comment: "pods' packets that leave the cluster",
	}
	found, err := nft.Rules(f, tableName)
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
	t := &nftables.Table{Family: f.Table, Name: tableName}
	conn.AddTable(t)
	conn.DelTable(t)
	conn.AddTable(t)
	c := conn.AddChain(&nftables.Chain{
		Table: t, Name: "postrouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	conn.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: rule.Exprs, UserData: rule.UserData()})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("making table %s %s: %w", f.Name, tableName, err)
	}
	return nil
}
