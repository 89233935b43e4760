package gateway

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/version"

	"gantry/agents/gateway/authenticate"
	"gantry/agents/gateway/discovery"
	"gantry/agents/internal/daemon"
	"gantry/registry"
)

// Config is what a gateway needs. Fields without a stated default are required.
type Config struct {
	// Registry is read and written; the gateway does not run it.
	Registry *registry.Registry
	// BindAddress is where to listen; not valid: every address.
	BindAddress netip.Addr
	// SecurePort is the TCP port to listen on; 0 picks a free one.
	SecurePort int
	// AdvertiseAddress is where pods and other machines reach this gateway.
	AdvertiseAddress netip.Addr
	// Ready, when set, is called once with the address listened on.
	Ready func(addr netip.AddrPort)

	// Certificate is the serving certificate; GetCertificate, when set, is asked at every handshake instead.
	Certificate    tls.Certificate
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ClientCAs verify client certificates.
	ClientCAs *x509.CertPool
	// ClusterCA is the PEM of the CA of clients, published in kube-system/extension-apiserver-authentication;
	// empty: not published.
	ClusterCA []byte
	// FrontProxyCA is the PEM of the CA that has signed FrontProxyClient, published beside ClusterCA.
	FrontProxyCA []byte
	// FrontProxyClient is shown to extension servers, which trust what it says of a request's user.
	FrontProxyClient tls.Certificate

	// KubeletClient is shown to kubelets; KubeletCAs verify them.
	KubeletClient tls.Certificate
	KubeletCAs    *x509.CertPool

	// ServiceAccountKey signs tokens: an RSA or ECDSA key. nil: tokens are neither made nor accepted.
	ServiceAccountKey crypto.Signer
	// ServiceAccountKeys verify tokens besides ServiceAccountKey's public half, for rotation.
	ServiceAccountKeys []crypto.PublicKey
	// Issuer is the tokens' iss and default aud; default https://kubernetes.default.svc.
	Issuer string

	// ServiceCIDRs are the ranges of cluster IPs, one of each address family at most. None: this gateway keeps no identity lease, and the Service
	// kubernetes does not lead to it.
	ServiceCIDRs []netip.Prefix

	// Anonymous says which requests without credentials are served; the zero value: what the anonymous user may do.
	// --anonymous-auth, --authentication-config
	Anonymous authenticate.Anonymous

	// NodesUnrestricted switches the admission plug-in NodeRestriction off.
	NodesUnrestricted bool

	// RequestTimeout bounds every request that is not long-running; default 60 s.
	RequestTimeout time.Duration
	// MaxReads and MaxWrites bound the requests served at once, long-running ones apart; defaults 400 and 200.
	MaxReads, MaxWrites int

	// Version is the answer of /version; the zero value is the Kubernetes 1.36 whose API this is.
	Version version.Info
	// Health gets the gateway's checks and answers /healthz, /livez and /readyz.
	Health *daemon.Health
	// Log defaults to slog.Default().
	Log *slog.Logger
}

// The defaults of Config.
const (
	defaultIssuer         = "https://kubernetes.default.svc"
	defaultRequestTimeout = 60 * time.Second
	defaultMaxReads       = 400
	defaultMaxWrites      = 200
)

// Validate lists every fault, naming the flag.
func (c Config) Validate() error {
	var errs []error
	missing := func(bad bool, flag, what string) {
		if bad {
			errs = append(errs, fmt.Errorf("--%s: %s", flag, what))
		}
	}
	missing(c.Registry == nil, "etcd-servers", "a registry is needed")
	missing(c.SecurePort < 0 || c.SecurePort > 65535, "secure-port", fmt.Sprintf("%d is not a port", c.SecurePort))
	missing(len(c.Certificate.Certificate) == 0 && c.GetCertificate == nil, "tls-cert-file", "a serving certificate is needed")
	missing(c.ClientCAs == nil, "client-ca-file", "a CA for clients is needed")
	missing(!c.AdvertiseAddress.IsValid(), "advertise-address", "an address is needed")
	missing(c.Health == nil, "health", "a health registry is needed")
	return errors.Join(errs...)
}

// withDefaults fills what was left unset.
func (c Config) withDefaults() Config {
	if c.Issuer == "" {
		c.Issuer = defaultIssuer
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = defaultRequestTimeout
	}
	if c.MaxReads == 0 {
		c.MaxReads = defaultMaxReads
	}
	if c.MaxWrites == 0 {
		c.MaxWrites = defaultMaxWrites
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Log = c.Log.With("agent", "gateway")
	if c.Version.GitVersion == "" {
		c.Version = discovery.ServedVersion()
	}
	return c
}
