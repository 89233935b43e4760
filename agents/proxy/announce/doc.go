// Package announce makes load balancer addresses reachable from the nodes' own network: one node of the cluster has each address, answers
// ARP for it, and tells the network when it takes one over. The proxy calls it with what the caches hold.
//
// Every node computes the same owner of an address from the same objects (owner.go, pure), so there is no election to wait for: when a node
// is NotReady the others know the next owner as soon as they see it. A node that cannot read the store keeps what it has.
//
// The owner has the address as a /32 on the link gantry-lb, and the kernel answers ARP for it on every link (arp_ignore is 0), also
// while no agent runs. `ip addr show gantry-lb` lists what a node has. The address stays when Run returns; Clean removes the link.
//
// IPv6 addresses are not announced: the proxy does not serve them.
package announce
