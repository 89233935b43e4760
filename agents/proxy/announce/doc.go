// Package announce makes load balancer addresses reachable from the nodes' own network: one node of the cluster has each address, answers
// ARP or neighbour solicitations for it, and tells the network when it takes one over. The proxy calls it with what the caches hold.
//
// Every node computes the same order of the nodes for an address from the same objects (owner.go, pure), so there is no election to wait
// for: the first is the owner, and when its Node is NotReady the others know the next as soon as they see it. A node's status is late, so
// the next two also ask the kernels of the nodes ahead of them (probe.go), and take over when those do not answer for 1.6 seconds.
// A node that cannot read the store keeps what it has.
//
// The owner has the address as a /32 on the link gantry-lb, and the kernel answers ARP for it on every link (arp_ignore is 0), also
// while no agent runs. `ip addr show gantry-lb` lists what a node has. An IPv6 address is a /128 there, and also, deprecated, on the link of
// its subnet, because the kernel answers solicitations only for a link's own addresses. The addresses stay when Run returns; Clean removes
// them.
package announce
