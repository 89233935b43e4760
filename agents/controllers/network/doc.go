// Package network has the controllers of addresses: Endpoints and EndpointSlices of Services, slices that mirror Endpoints made by
// hand, the Service kubernetes, the addresses of load balancers, ServiceCIDRs, the pods' address ranges of each node, and the claims on cluster IPs and
// node ports.
//
// An address is in a slice exactly when its pod is matched by the Service, has not ended and has an address; whether it gets traffic is a
// condition there. Plans change as few slices as possible, because every node follows them.
package network
