package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/daemon"
	"gantry/agents/kubelet/admission"
	"gantry/registry"
	"gantry/schema/volumes"
)

// Gateway is the API that the kubelet writes through, and reads what a node may not read in etcd: *remote.Client.
type Gateway interface {
	registry.API
	Token(ctx context.Context, namespace, serviceAccount string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error)
	// PostPath returns the answer to a POST of a JSON body to a path.
	PostPath(ctx context.Context, path string, body []byte) ([]byte, error)
}

// Config is what a kubelet needs.
type Config struct {
	// Registry is opened with Config.Node = NodeName and runs already, or is run by the caller.
	Registry *registry.Registry
	// Gateway is used for every write but the heartbeat, and for secrets and config maps.
	Gateway Gateway
	// NodeName is the name of this node's object.
	NodeName string
	// NodeIPs are the node's own addresses, one for each family; the first is that of pods in its network.
	NodeIPs []netip.Addr
	// NodeLabels are set on the node besides kubernetes.io/{hostname,os,arch}.
	NodeLabels map[string]string
	// NodeTaints are set when the node is registered for the first time.
	NodeTaints []corev1.Taint
	// DockerHost is the engine's address; default $DOCKER_HOST, then unix:///var/run/docker.sock.
	DockerHost string
	// DataDir holds what the kubelet keeps per pod; default /var/lib/gantry/node.
	DataDir string
	// VolumesDir has the directories of local volumes; default /var/lib/gantry/volumes.
	VolumesDir string
	// LogDir gets links to the containers' log files, as log collectors expect them; default /var/log. "-": none.
	LogDir string
	// Address is where logs, exec and port-forward are served; default 0.0.0.0:10250. A port of 0 takes any.
	Address netip.AddrPort
	// ServingCert is the server's certificate; without one nothing is served.
	ServingCert *tls.Certificate
	// ClientCAs signed the certificates of those who may call: CN gantry-gateway or O system:masters.
	ClientCAs *x509.CertPool
	// ClusterDNS are the name servers of pods with dnsPolicy ClusterFirst; none: they get the node's own.
	ClusterDNS []netip.Addr
	// ClusterDomain is the suffix of service names; default cluster.local.
	ClusterDomain string
	// MaxPods is how many pods the node takes; default 110.
	MaxPods int
	// AllowedUnsafeSysctls are the sysctls that pods may set besides the safe ones, or beginnings of their names with a * for the rest.
	AllowedUnsafeSysctls []string
	// Network makes the pods' links; default podnet's.
	Network Network
	// Health gets the kubelet's checks.
	Health *daemon.Health
	// Log defaults to slog.Default().
	Log *slog.Logger
}

// Defaults of Config.
const (
	defaultDataDir = "/var/lib/gantry/node"
	defaultLogDir  = "/var/log"
	defaultMaxPods = 110
	defaultDomain  = "cluster.local"
	// Port is where a kubelet serves by default.
	Port = 10250
)

// Validate returns every fault, each naming its flag.
func (c Config) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Registry == nil, "no registry is given: set --etcd-servers")
	fault(c.Gateway == nil, "no gateway is given: set --server")
	fault(c.NodeName == "", "--node-name is empty")
	fault(len(c.NodeIPs) == 0, "--node-ip is missing")
	for i, a := range c.NodeIPs {
		fault(!a.IsValid() || a.IsUnspecified() || a.IsMulticast(), "--node-ip: %s is not an address of a node", a)
		fault(slices.ContainsFunc(c.NodeIPs[:i], func(b netip.Addr) bool { return a.Is4() == b.Is4() }), "--node-ip: %s is the second address of its family", a)
	}
	fault(c.DataDir != "" && !filepath.IsAbs(c.DataDir), "--data-dir %q is not an absolute path", c.DataDir)
	fault(c.VolumesDir != "" && (!filepath.IsAbs(c.VolumesDir) || filepath.Clean(c.VolumesDir) != c.VolumesDir), "--data-dir: %q is not a clean absolute path", c.VolumesDir)
	fault(c.MaxPods < 0, "--max-pods %d is negative", c.MaxPods)
	_, err := admission.NewSysctlList("", c.AllowedUnsafeSysctls)
	fault(err != nil, "--allowed-unsafe-sysctls: %v", err)
	fault(c.ServingCert != nil && c.ClientCAs == nil, "--client-ca-file is missing: no client could call the node's port")
	fault(c.Health == nil, "no health is given")
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.DataDir == "" {
		c.DataDir = defaultDataDir
	}
	if c.VolumesDir == "" {
		c.VolumesDir = volumes.DefaultLocalDirectory
	}
	if c.LogDir == "" {
		c.LogDir = defaultLogDir
	}
	if c.MaxPods == 0 {
		c.MaxPods = defaultMaxPods
	}
	if c.ClusterDomain == "" {
		c.ClusterDomain = defaultDomain
	}
	if !c.Address.IsValid() {
		c.Address = netip.AddrPortFrom(netip.IPv4Unspecified(), Port)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Log = c.Log.With("agent", "kubelet", "node", c.NodeName)
	return c
}
