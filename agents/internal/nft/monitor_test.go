package nft

import (
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func TestTableOf(t *testing.T) {
	message := func(subsystem, kind, family byte, table string) netlink.Message {
		attrs, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_TABLE_NAME, Data: []byte(table + "\x00")}})
		if err != nil {
			t.Fatal(err)
		}
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(subsystem)<<8 | netlink.HeaderType(kind)},
			Data:   append([]byte{family, 0, 0, 0}, attrs...),
		}
	}
	tests := []struct {
		name string
		in   netlink.Message
		want string
	}{
		{"deleted table", message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_DELTABLE, unix.NFPROTO_IPV4, "gantry"), "ip gantry"},
		{"deleted element", message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_DELSETELEM, unix.NFPROTO_IPV4, "gantry"), "ip gantry"},
		{"IPv6", message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_DELTABLE, unix.NFPROTO_IPV6, "gantry"), "ip6 gantry"},
		{"another family", message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_DELTABLE, unix.NFPROTO_INET, "gantry"), ""},
		{"another subsystem", message(unix.NFNL_SUBSYS_CTNETLINK, unix.NFT_MSG_DELTABLE, unix.NFPROTO_IPV4, "gantry"), ""},
		{"a generation", message(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_NEWGEN, unix.NFPROTO_IPV4, "gantry"), ""},
		{"empty", netlink.Message{}, ""},
	}
	for _, tt := range tests {
		got := ""
		if f, table := tableOf(tt.in); f != nil {
			got = f.Name + " " + table
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
