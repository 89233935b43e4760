package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clusterDNS is where the node's name server answers.
const clusterDNS = "10.96.0.10:53"

// question asks for the address of the Service kubernetes, as a pod does; it ends in one OPT record.
var question = []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01" +
	"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01" + "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")

// answerSize is the size of the answer: one record more.
var answerSize = len(question) + 16

// resolveNames asks the node's name server.
func resolveNames(b *bench) (measurement, error) {
	n, err := b.startNode()
	if err != nil {
		return measurement{}, err
	}
	return b.exchange(n.plane, clusterDNS, question, func(answer []byte) bool { return len(answer) == answerSize && answer[7] == 1 })
}

// floorNames is an echo of packets of the same sizes by as many sockets.
func floorNames(b *bench) (measurement, error) {
	packet := bytes.Clone(question)
	binary.BigEndian.PutUint16(packet, uint16(answerSize))
	return b.exchange(b.floor, b.floorAddr, packet, func(answer []byte) bool { return len(answer) == answerSize })
}

// exchange measures clients that send a packet and wait for the answer, one after the other.
func (b *bench) exchange(p *child, addr string, packet []byte, right func(answer []byte) bool) (measurement, error) {
	conns := make([]net.Conn, b.clients)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("udp", addr); err != nil {
			return measurement{}, err
		}
		defer conns[i].Close()
		if err := conns[i].SetDeadline(time.Now().Add(b.length + 10*time.Second)); err != nil {
			return measurement{}, err
		}
	}
	buffers := make([][4096]byte, b.clients)
	return drive(p, b.clients, b.length, func(i int) error {
		if _, err := conns[i].Write(packet); err != nil {
			return err
		}
		n, err := conns[i].Read(buffers[i][:])
		if err == nil && !right(buffers[i][:n]) {
			err = fmt.Errorf("the answer is %x", buffers[i][:n])
		}
		return err
	})
}

// serveUDP answers every packet on addr with as many bytes as its first two say: a socket and a reader for each CPU.
func serveUDP(addr string, content []byte) error {
	reuse := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		fault := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(fault, err)
	}}
	for range runtime.GOMAXPROCS(0) {
		c, err := reuse.ListenPacket(context.Background(), "udp", addr)
		if err != nil {
			return err
		}
		conn := c.(*net.UDPConn)
		go func() { // until the process ends
			var buf [4096]byte
			for {
				n, from, err := conn.ReadFromUDPAddrPort(buf[:])
				if err != nil || n < 2 {
					return
				}
				_, _ = conn.WriteToUDPAddrPort(content[:binary.BigEndian.Uint16(buf[:])], from)
			}
		}()
	}
	return nil
}
