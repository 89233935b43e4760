package up

import (
	"crypto"
	"errors"
	"io/fs"
	"net"
	"net/netip"

	"gantry/agents/internal/extensionclient"
	"gantry/agents/internal/pki"
)

// certs are the certificates of this machine. Those that its agents do not use may be empty.
type certs struct {
	authority *pki.Authority // of the Kubernetes API and its clients
	gateway   pki.Pair       // serves the API
	toKubelet pki.Pair       // the gateway's client certificate for kubelets
	admin     pki.Pair
	kubelet   pki.Pair      // serves 10250 and is the node's identity at the gateway
	tokens    crypto.Signer // nil: there is no key here
	// controllers is the controllers' identity at the gateway; nil: they have none here.
	controllers *pki.Pair

	frontProxyAuthority *pki.Authority // nil: this machine has none
	frontProxy          pki.Pair       // shown to extension servers

	etcdAuthority *pki.Authority
	etcdServer    pki.Pair
	etcdClient    pki.Pair
}

// ensureCerts loads what the agents of c use from <data-dir>/pki. It creates what is absent where this machine has the authority's key. A
// gateway's machine, and one with an embedded etcd, creates an absent authority too: it is the first of its cluster.
func ensureCerts(c Config, nodeIPs []netip.Addr) (*certs, error) {
	k := &certs{}
	var err error
	if k.authority, err = pki.OpenAuthority(c.path("pki"), "gantry-ca", c.runs("gateway") || c.Embedded); err != nil {
		return nil, err
	}
	if err := k.ensureEtcd(c); err != nil {
		return nil, err
	}
	if c.runs("gateway") || c.runs("controllers") {
		if err := errors.Join(k.ensureTokens(c), k.ensureFrontProxy(c)); err != nil {
			return nil, err
		}
	}
	if c.runs("controllers") {
		k.ensureControllers(c)
	}
	if c.runs("gateway") {
		if err := k.ensureGateway(c, nodeIPs); err != nil {
			return nil, err
		}
	}
	if c.runs("kubelet") {
		k.kubelet, err = k.authority.Ensure("kubelet", pki.Request{
			CommonName: "system:node:" + c.NodeName, Organizations: []string{"system:nodes"},
			DNSNames: []string{c.NodeName}, IPs: netIPs(nodeIPs), Server: true,
		})
	}
	return k, err
}

// ensureTokens loads the key of service account tokens. A gateway's machine creates an absent one; controllers of another
// machine run without the key until it is copied there.
func (k *certs) ensureTokens(c Config) (err error) {
	k.tokens, err = pki.SigningKey(c.path("pki", "sa.key"), c.runs("gateway"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ensureFrontProxy loads the certificate of the front proxy, of an authority of its own: whoever has one of its certificates may name any user to
// extension servers. A gateway's machine creates an absent authority; controllers of another machine run without it.
func (k *certs) ensureFrontProxy(c Config) error {
	authority, err := pki.OpenAuthority(c.path("pki", "front-proxy"), "gantry-front-proxy-ca", c.runs("gateway"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if k.frontProxy, err = authority.Ensure("client", pki.Request{CommonName: extensionclient.CommonName}); err != nil {
		return err
	}
	k.frontProxyAuthority = authority
	return nil
}

// ensureControllers loads the controllers' certificate. Where it can be neither loaded nor created they run without one.
func (k *certs) ensureControllers(c Config) {
	pair, err := k.authority.Ensure("controllers", pki.Request{CommonName: "gantry-controllers"})
	if err != nil {
		c.Log.Warn("autoscalers get no metrics and certificate signing requests are not approved", "err", err)
		return
	}
	k.controllers = &pair
}

func (k *certs) ensureGateway(c Config, nodeIPs []netip.Addr) (err error) {
	if k.admin, err = k.authority.Ensure("admin", pki.Request{CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}}); err != nil {
		return err
	}
	if k.toKubelet, err = k.authority.Ensure("gateway-kubelet-client", pki.Request{CommonName: "gantry-gateway"}); err != nil {
		return err
	}
	first := c.serviceCIDRs()[0].Addr().Next() // of the Service default/kubernetes
	ips := append([]net.IP{{127, 0, 0, 1}, net.IPv6loopback, first.AsSlice()}, netIPs(nodeIPs)...)
	if bind := netip.MustParseAddr(c.BindAddress); !bind.IsUnspecified() {
		ips = append(ips, bind.AsSlice())
	}
	k.gateway, err = k.authority.Ensure("gateway", pki.Request{
		CommonName: "gantry-gateway", Server: true, IPs: ips,
		DNSNames: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + c.ClusterDomain, "localhost", c.NodeName},
	})
	return err
}

func (k *certs) ensureEtcd(c Config) (err error) {
	if !c.embedsEtcd() {
		return nil // the files of an external etcd are given by flags
	}
	if k.etcdAuthority, err = pki.OpenAuthority(c.path("pki", "etcd"), "gantry-etcd-ca", true); err != nil {
		return err
	}
	if k.etcdServer, err = k.etcdAuthority.Ensure("server", pki.Request{
		CommonName: "gantry-etcd", Server: true, DNSNames: []string{"localhost"}, IPs: []net.IP{{127, 0, 0, 1}},
	}); err != nil {
		return err
	}
	k.etcdClient, err = k.etcdAuthority.Ensure("client", pki.Request{CommonName: "root"})
	return err
}

func netIPs(all []netip.Addr) (out []net.IP) {
	for _, a := range all {
		out = append(out, a.AsSlice())
	}
	return out
}
