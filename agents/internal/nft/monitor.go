package nft

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// monitorBuffer is the size of the receive buffer in bytes, enough for the notifications of one big transaction.
const monitorBuffer = 16 << 20

// Monitor sends to changed whenever a table of either family changes for which watched returns true; port is the netlink port of the
// socket that changed it (Port). It does not block on changed, which should have a buffer of one. It returns nil when
// ctx is done, and an error when it cannot listen or may have missed a change: read the tables then and call it again.
func Monitor(ctx context.Context, watched func(f *Family, table string, port uint32) bool, changed chan<- struct{}) error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("listening to nftables: %w", err)
	}
	defer c.Close()
	_ = c.SetReadBuffer(monitorBuffer) // best effort: a smaller buffer may overflow, which is an error below
	if err := c.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return fmt.Errorf("listening to nftables: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	for {
		msgs, err := c.Receive()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil { // ENOBUFS: the buffer has overflowed
			return fmt.Errorf("listening to nftables: %w", err)
		}
		for _, m := range msgs {
			if f, table := tableOf(m); table != "" && watched(f, table, m.Header.PID) {
				select {
				case changed <- struct{}{}:
				default:
				}
				break
			}
		}
	}
}

// tableOf returns the table of either family that a notification is about; "" for any other.
func tableOf(m netlink.Message) (f *Family, table string) {
	if m.Header.Type>>8 != unix.NFNL_SUBSYS_NFTABLES || m.Header.Type&0xff == unix.NFT_MSG_NEWGEN || len(m.Data) < 4 {
		return nil, ""
	}
	switch m.Data[0] {
	case byte(IPv4.Table):
		f = IPv4
	case byte(IPv6.Table):
		f = IPv6
	default:
		return nil, ""
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[4:])
	if err != nil {
		return nil, ""
	}
	ad.ByteOrder = binary.BigEndian
	for ad.Next() {
		// Attribute 1 names the table in the messages of tables, chains, rules, sets and elements alike.
		if ad.Type() == unix.NFTA_TABLE_NAME {
			return f, string(bytes.TrimRight(ad.Bytes(), "\x00"))
		}
	}
	return nil, ""
}

// Port returns the port of a netlink socket, by which notifications name the sender of a change.
func Port(c *netlink.Conn) (port uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var name unix.Sockaddr
	if cerr := raw.Control(func(fd uintptr) { name, err = unix.Getsockname(int(fd)) }); cerr != nil {
		return 0, cerr
	}
	if nl, ok := name.(*unix.SockaddrNetlink); ok {
		port = nl.Pid
	}
	return port, err
}
