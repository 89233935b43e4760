package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gantry/agents/internal/nft"
)

// The host's firewall, as iptables-nft keeps it. The agent adds two rules to one of its chains and changes nothing else in it.
const (
	filterTable = "filter"
	dockerUser  = "DOCKER-USER"
	forward     = "FORWARD"
	// forwardComment marks the agent's rules.
	forwardComment = "gantry: pods"
)

// ensureForward makes the host's firewall accept pods' packets where it would drop them: Docker sets the policy of FORWARD to
// drop. The rules go to the top of DOCKER-USER, which Docker evaluates first and leaves to users; without that chain, to the
// top of FORWARD if its policy is drop.
func ensureForward(clusterCIDR netip.Prefix) error {
	return errors.Join(ensureForwardNFT(clusterCIDR), legacyOf(nft.FamilyOf(clusterCIDR.Addr())).ensure(clusterCIDR))
}

func ensureForwardNFT(clusterCIDR netip.Prefix) error {
	f := nft.FamilyOf(clusterCIDR.Addr())
	chain, err := forwardChain(f)
	if err != nil {
		return fmt.Errorf("reading chain %s: %w", forward, err)
	}
	found, err := nft.Rules(f, filterTable)
	if err != nil {
		return err
	}
	var want []string
	rules := forwardRules(clusterCIDR)
	if chain != "" {
		for _, r := range rules {
			want = append(want, r.Fingerprint())
		}
	}
	e := planForward(found, chain, want)
	if !e.add && len(e.del) == 0 {
		return nil
	}
	if !e.add {
		rules = nil
	}
	return changeForward(f, chain, rules, e.del)
}

// forwardChain returns the chain that the rules belong in, "" where nothing drops pods' packets.
func forwardChain(f *nft.Family) (string, error) {
	if there, _, err := nft.Policy(f, filterTable, dockerUser); there || err != nil {
		return dockerUser, err
	}
	if _, drops, err := nft.Policy(f, filterTable, forward); drops || err != nil {
		return forward, err
	}
	return "", nil
}

// forwardRules returns the rules in the form of iptables-nft, each with a counter, so that `iptables -S` can show them.
func forwardRules(clusterCIDR netip.Prefix) []nft.Rule {
	f := nft.FamilyOf(clusterCIDR.Addr())
	accept := []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept}}
	return []nft.Rule{
		{Exprs: append(f.Match(f.Source, clusterCIDR, expr.CmpOpEq), accept...), Comment: forwardComment},
		{Exprs: append(f.Match(f.Dest, clusterCIDR, expr.CmpOpEq), accept...), Comment: forwardComment},
	}
}

// forwardEdit is the change of the agent's rules in the filter table: delete some, and add all of them or none.
type forwardEdit struct {
	add bool
	del map[string][]uint64 // chain -> handles
}

// planForward returns the change to want, the fingerprints of the rules for chain. The rules are right when they are the first of
// chain, in order, and in no other place. Pure.
func planForward(found map[string][]nft.InstalledRule, chain string, want []string) forwardEdit {
	e := forwardEdit{del: map[string][]uint64{}}
	e.add = len(want) > 0
	if rs := found[chain]; e.add && len(rs) >= len(want) {
		e.add = !slices.EqualFunc(rs[:len(want)], want, func(f nft.InstalledRule, fingerprint string) bool { return f.Fingerprint == fingerprint })
	}
	for c, rs := range found {
		for i, r := range rs {
			right := !e.add && c == chain && i < len(want)
			if r.Comment == forwardComment && !right {
				e.del[c] = append(e.del[c], r.Handle)
			}
		}
	}
	return e
}

func changeForward(f *nft.Family, chain string, add []nft.Rule, del map[string][]uint64) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	t := &nftables.Table{Family: f.Table, Name: filterTable}
	for c, handles := range del {
		for _, h := range handles {
			if err := conn.DelRule(&nftables.Rule{Table: t, Chain: &nftables.Chain{Table: t, Name: c}, Handle: h}); err != nil {
				return err
			}
		}
	}
	for _, r := range slices.Backward(add) { // each is inserted at the top
		conn.InsertRule(&nftables.Rule{Table: t, Chain: &nftables.Chain{Table: t, Name: chain}, Exprs: r.Exprs, UserData: r.UserData()})
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("changing table %s %s for pods: %w", f.Name, filterTable, err)
	}
	return nil
}

// removeForward removes the agent's rules from the host's firewall for a family.
func removeForward(f *nft.Family) error {
	found, err := nft.Rules(f, filterTable)
	if err != nil {
		return err
	}
	var errs []error
	if e := planForward(found, "", nil); len(e.del) > 0 {
		if err := changeForward(f, "", nil, e.del); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, legacyOf(f).remove())...)
}

// hasLine returns whether a line of text begins with prefix.
func hasLine(text, prefix string) bool {
	return strings.HasPrefix(text, prefix) || strings.Contains(text, "\n"+prefix)
}
