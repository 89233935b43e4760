package announce

import (
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

const (
	// probeInterval is how often a standby asks the nodes ahead of it, and missesToDie after how many answers in a row are missing it takes a
	// node for dead: a takeover begins at most 2 seconds after a node's death.
	probeInterval = 400 * time.Millisecond
	missesToDie   = 4
	// answersToReturn is how many answers in a row a dead node gives before it is taken for alive: a machine that boots answers before its
	// agent runs.
	answersToReturn = int(30 * time.Second / probeInterval)
)

// probes finds out by ICMP echo requests, which a node's kernel answers, whether nodes live. A node that has never answered, behind a packet
// filter for instance, is taken for alive: its death is known when its Node is NotReady. It is for one goroutine.
type probes struct {
	log     *slog.Logger
	id, seq uint16
	peers   map[netip.Addr]*peerState
	sockets map[bool]net.PacketConn // by whether they are of IPv6; opened when they are needed
	readers sync.WaitGroup

	mu       sync.Mutex // guards answered
	answered map[netip.Addr]bool
}

// peerState is what is known of a node that is asked.
type peerState struct {
	name     string
	hasLived bool // it has answered
	dead     bool
	missed   int // answers in a row that are missing, also before the first
	returned int // answers in a row since its death
}

// tick takes account of one interval, in which the node has answered or not, and returns whether it has died or come back. Pure.
func (p *peerState) tick(answered bool) (changed bool) {
	switch {
	case answered:
		p.hasLived, p.missed = true, 0
		if p.returned++; p.dead && p.returned >= answersToReturn {
			p.dead = false
			return true
		}
	default:
		p.returned = 0
		if p.missed++; p.hasLived && !p.dead && p.missed >= missesToDie {
			p.dead = true
			return true
		}
	}
	return false
}

func newProbes(log *slog.Logger) *probes {
	return &probes{log: log, id: uint16(os.Getpid()), peers: map[netip.Addr]*peerState{}, sockets: map[bool]net.PacketConn{}, answered: map[netip.Addr]bool{}}
}

// setPeers makes these the nodes that are asked.
func (p *probes) setPeers(peers []Peer) {
	wanted := map[netip.Addr]*peerState{}
	for _, peer := range peers {
		if !peer.Address.IsValid() {
			continue
		}
		if wanted[peer.Address] = p.peers[peer.Address]; wanted[peer.Address] == nil {
			wanted[peer.Address] = &peerState{name: peer.Name}
		}
	}
	p.peers = wanted
}

// isDead returns whether a node does not answer any more. tookOver: it was dead before this process began, and is so until it answers; but
// not for ever, because it may never have answered.
func (p *probes) isDead(peer Peer, tookOver bool) bool {
	state := p.peers[peer.Address]
	return state != nil && (state.dead || (tookOver && !state.hasLived && state.missed < answersToReturn))
}

// tick is to be called every probeInterval. It returns whether a node has died or come back.
func (p *probes) tick() (changed bool) {
	p.mu.Lock()
	answered := p.answered
	p.answered = map[netip.Addr]bool{}
	p.mu.Unlock()
	p.seq++
	for addr, peer := range p.peers {
		if peer.tick(answered[addr]) {
			changed = true
			if peer.dead {
				p.log.Warn("node does not answer", "agent", "proxy", "node", peer.name, "address", addr)
			} else {
				p.log.Info("node answers again", "agent", "proxy", "node", peer.name, "address", addr)
			}
		}
		p.ask(addr)
	}
	return changed
}

// ask sends an echo request. A fault is as good as no answer.
func (p *probes) ask(addr netip.Addr) {
	c := p.sockets[addr.Is6()]
	if c == nil {
		network, local := "ip4:icmp", "0.0.0.0"
		if addr.Is6() {
			network, local = "ip6:ipv6-icmp", "::"
		}
		var err error
		if c, err = net.ListenPacket(network, local); err != nil {
			return
		}
		p.sockets[addr.Is6()] = c
		p.readers.Go(func() { p.read(c, addr.Is6()) })
	}
	_, _ = c.WriteTo(echoRequest(addr.Is6(), p.id, p.seq), &net.IPAddr{IP: addr.AsSlice()})
}

// Types of ICMP messages (RFC 792, RFC 4443).
const (
	echoOfIPv4, echoReplyOfIPv4 = 8, 0
	echoOfIPv6, echoReplyOfIPv6 = 128, 129
)

// echoRequest is an ICMP message. The kernel computes the checksum of IPv6.
func echoRequest(ipv6 bool, id, seq uint16) []byte {
	b := make([]byte, 8)
	b[0] = echoOfIPv4
	if ipv6 {
		b[0] = echoOfIPv6
	}
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	if !ipv6 {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// read notes who answers until the socket is closed.
func (p *probes) read(c net.PacketConn, ipv6 bool) {
	reply := byte(echoReplyOfIPv4)
	if ipv6 {
		reply = echoReplyOfIPv6
	}
	b := make([]byte, 64)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		sender, isIP := from.(*net.IPAddr)
		if !isIP || n < 8 || b[0] != reply || binary.BigEndian.Uint16(b[4:]) != p.id {
			continue
		}
		a, _ := netip.AddrFromSlice(sender.IP)
		p.mu.Lock()
		p.answered[a.Unmap()] = true
		p.mu.Unlock()
	}
}

// close closes the sockets and waits for their readers.
func (p *probes) close() {
	for _, c := range p.sockets {
		_ = c.Close()
	}
	p.readers.Wait()
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
