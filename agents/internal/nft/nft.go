// Package nft complements github.com/google/nftables for agents that own tables of the families ip and ip6: Rule has a fingerprint that
// tells whether the kernel's rule is the wanted one, Rules and Policy read one table only, and Monitor reports changes of tables.
// It needs CAP_NET_ADMIN in the network namespace.
package nft

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Rule is a rule to program: its expressions, and a comment for the reader of `nft list`.
type Rule struct {
	Exprs   []expr.Any
	Comment string
	// Version is part of the fingerprint. Raise it for a change that the expressions do not show.
	Version byte
}

// fingerprintType is the type of the fingerprint in a rule's user data. nft shows comments and skips types that it does not know.
const fingerprintType = userdata.Type(200)

// UserData returns the rule's comment and fingerprint as nftables.Rule takes them.
func (r Rule) UserData() []byte {
	var b []byte
	if r.Comment != "" {
		b = userdata.AppendString(b, userdata.TypeComment, r.Comment)
	}
	return userdata.Append(b, fingerprintType, []byte(r.Fingerprint()))
}

// Fingerprint returns 8 bytes that depend on version, expressions and comment. The rule of another release has another
// fingerprint, and one that another program added has none.
func (r Rule) Fingerprint() string {
	h := sha256.New()
	h.Write([]byte{r.Version})
	for _, e := range r.Exprs {
		b, err := expr.Marshal(byte(nftables.TableFamilyIPv4), e)
		if err != nil {
			panic("nft: a rule that cannot be encoded: " + err.Error())
		}
		h.Write(b)
	}
	h.Write([]byte(r.Comment))
	return string(h.Sum(nil)[:8])
}

// InstalledRule is a rule that the kernel has.
type InstalledRule struct {
	Handle      uint64
	Fingerprint string // "" for a rule that was not made from a Rule
	Comment     string
}

// Rules returns the rules of a table by chain; chains without rules are not in it, and an absent table has none.
// It uses raw netlink, because google/nftables lists one known chain at a time or all tables', and parses expressions, which fails
// for those of newer tools.
func Rules(f *Family, table string) (map[string][]InstalledRule, error) {
	msgs, err := f.request(unix.NFT_MSG_GETRULE, netlink.Dump, netlink.Attribute{Type: unix.NFTA_RULE_TABLE, Data: []byte(table + "\x00")})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading rules of table %s %s: %w", f.Name, table, err)
	}
	rules := map[string][]InstalledRule{}
	for _, m := range msgs {
		if chain, rule, ok := readRule(m.Data); ok {
			rules[chain] = append(rules[chain], rule)
		}
	}
	return rules, nil
}

// Policy returns whether a table has a chain, and whether the chain's policy is drop.
func Policy(f *Family, table, chain string) (exists, drops bool, err error) {
	msgs, err := f.request(unix.NFT_MSG_GETCHAIN, 0,
		netlink.Attribute{Type: unix.NFTA_CHAIN_TABLE, Data: []byte(table + "\x00")},
		netlink.Attribute{Type: unix.NFTA_CHAIN_NAME, Data: []byte(chain + "\x00")})
	if errors.Is(err, unix.ENOENT) {
		return false, false, nil
	}
	if err != nil || len(msgs) == 0 || len(msgs[0].Data) < 4 {
		return false, false, err
	}
	ad, err := netlink.NewAttributeDecoder(msgs[0].Data[4:])
	if err != nil {
		return false, false, err
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		if ad.Type() == unix.NFTA_CHAIN_POLICY {
			drops = nftables.ChainPolicy(ad.Uint32()) == nftables.ChainPolicyDrop
		}
	}
	return true, drops, ad.Err()
}

// request sends a message of nf_tables for the family and returns the answers.
func (f *Family) request(kind netlink.HeaderType, flags netlink.HeaderFlags, attrs ...netlink.Attribute) ([]netlink.Message, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	b, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		return nil, err
	}
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | kind, Flags: netlink.Request | flags},
		Data:   append([]byte{byte(f.Table), unix.NFNETLINK_V0, 0, 0}, b...),
	})
}

// readRule parses a rule message; ok is false where it is malformed.
func readRule(data []byte) (chain string, rule InstalledRule, ok bool) {
	if len(data) < 4 {
		return "", rule, false
	}
	ad, err := netlink.NewAttributeDecoder(data[4:])
	if err != nil {
		return "", rule, false
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_RULE_CHAIN:
			chain = ad.String()
		case unix.NFTA_RULE_HANDLE:
			rule.Handle = ad.Uint64()
		case unix.NFTA_RULE_USERDATA:
			rule.Fingerprint = string(userdata.Get(ad.Bytes(), fingerprintType))
			rule.Comment, _ = userdata.GetString(ad.Bytes(), userdata.TypeComment)
		}
	}
	return chain, rule, ad.Err() == nil
}
