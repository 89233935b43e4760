package records

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"gantry/agents/dns/wire"
)

// compiler collects the records of one Service.
type compiler struct {
	svc  *Service
	base string // name of the Service
	out  Names
	seen map[string]bool // name, type and data of the records in out
}

// Compile returns the records of a Service with its slices, in whatever order:
//   - the Service's name: addresses of the cluster IPs, or of all endpoints of a headless Service, or CNAME of an external name, and SRV
//     of every port;
//   - _port._protocol below it: SRV of that port;
//   - hostname below it, for every endpoint that has one or belongs to a headless Service: its addresses. An endpoint of a headless Service
//     without a hostname has its address for one, with dashes;
//   - the reverse names of the cluster IPs and of those endpoints: PTR.
//
// What has no valid name is left out.
func (z *Zone) Compile(svc *Service, slices []*Slice) Names {
	svcZone, err := wire.Join([]string{"svc"}, z.Apex)
	if err != nil {
		return nil
	}
	c := &compiler{svc: svc, out: Names{}, seen: map[string]bool{}}
	if c.base, err = wire.Join([]string{svc.Name, svc.Namespace}, svcZone); err != nil {
		return nil
	}
	c.out[c.base] = nil // the name exists, also without endpoints
	switch {
	case svc.ExternalName != "":
		c.externalName()
	case svc.Headless:
		c.headless(slices)
	default:
		c.clusterIPs()
		c.hostnames(slices)
	}
	return c.out
}

func (c *compiler) externalName() {
	if target, err := wire.Name(c.svc.ExternalName); err == nil && target != "\x00" {
		c.set(c.base, wire.TypeCNAME).Add([]byte(target))
	}
}

func (c *compiler) clusterIPs() {
	for _, a := range c.svc.ClusterIPs {
		c.address(c.base, a)
		c.pointer(a, c.base)
	}
	if len(c.svc.ClusterIPs) == 0 {
		return
	}
	weight := 100 / max(1, len(c.svc.Ports))
	for _, p := range c.svc.Ports {
		c.srv(c.base, p, weight, c.base, c.svc.ClusterIPs)
		if name := c.portName(p); name != "" {
			c.srv(name, p, 100, c.base, c.svc.ClusterIPs)
		}
	}
}

// hostnames adds the endpoints of a Service with a cluster IP that have a hostname.
func (c *compiler) hostnames(all []*Slice) {
	for _, t := range c.targets(all) {
		if t.Hostname != "" {
			c.target(t)
		}
	}
}

// target is an endpoint with its name and its slice's ports.
type target struct {
	Endpoint
	name  string
	ports []Port
}

// targets returns the endpoints that are served, in an order that does not depend on that of the slices.
func (c *compiler) targets(all []*Slice) (out []target) {
	for _, s := range all {
		for _, e := range s.Endpoints {
			if len(e.Addresses) == 0 || !e.Ready && !c.svc.PublishNotReady {
				continue
			}
			host := e.Hostname
			if host == "" {
				host = strings.NewReplacer(".", "-", ":", "-").Replace(e.Addresses[0].String())
			}
			if name, err := wire.Join([]string{host}, c.base); err == nil {
				out = append(out, target{e, name, s.Ports})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b target) int { return a.Addresses[0].Compare(b.Addresses[0]) })
	return out
}

func (c *compiler) target(t target) {
	for _, a := range t.Addresses {
		c.address(t.name, a)
		c.pointer(a, t.name)
	}
}

func (c *compiler) headless(all []*Slice) {
	targets := c.targets(all)
	counts := map[Port]int{}
	ports := 0
	for _, t := range targets {
		for _, p := range t.ports {
			counts[p]++
			ports++
		}
	}
	for _, t := range targets {
		for _, a := range t.Addresses {
			c.address(c.base, a)
		}
		c.target(t)
		for _, p := range t.ports {
			c.srv(c.base, p, max(1, 100/ports), t.name, t.Addresses)
			if name := c.portName(p); name != "" {
				c.srv(name, p, max(1, 100/counts[p]), t.name, t.Addresses)
			}
		}
	}
}

// portName is the name of a port's SRV records; "": it has none.
func (c *compiler) portName(p Port) string {
	if p.Name == "" {
		return ""
	}
	name, err := wire.Join([]string{"_" + p.Name, "_" + p.Protocol}, c.base)
	if err != nil {
		return ""
	}
	return name
}

// set returns the set of a type at a name, to be added to.
func (c *compiler) set(name string, rrType uint16) *wire.Set {
	sets := c.out[name]
	i := slices.IndexFunc(sets, func(s wire.Set) bool { return s.Type == rrType })
	if i < 0 {
		i = len(sets)
		sets = append(sets, wire.Set{Type: rrType})
		c.out[name] = sets
	}
	return &sets[i]
}

func (c *compiler) address(name string, a netip.Addr) {
	c.addOnce(name, wire.AddressType(a), a.AsSlice())
}

func (c *compiler) pointer(a netip.Addr, name string) {
	c.addOnce(wire.Reverse(a), wire.TypePTR, []byte(name))
}

// addOnce adds a record that the set has not yet: an endpoint may be in two slices for a short time.
func (c *compiler) addOnce(name string, rrType uint16, data []byte) {
	key := name + string(rune(rrType)) + string(data)
	if !c.seen[key] {
		c.seen[key] = true
		c.set(name, rrType).Add(data)
	}
}

func (c *compiler) srv(name string, p Port, weight int, target string, addresses []netip.Addr) {
	data := binary.BigEndian.AppendUint16(nil, 0) // priority
	data = binary.BigEndian.AppendUint16(data, uint16(weight))
	data = binary.BigEndian.AppendUint16(data, p.Number)
	data = append(data, target...)
	c.addOnce(name, wire.TypeSRV, data)
	for _, a := range addresses { // a target has two where it is in a slice of each family
		if key := name + "extra" + string(data) + a.String(); !c.seen[key] {
			c.seen[key] = true
			c.set(name, wire.TypeSRV).AddExtra(target, a)
		}
	}
}
