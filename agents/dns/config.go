package dns

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"gantry/agents/internal/daemon"
	"gantry/registry"
)

// port is that of DNS.
const port = 53

// Config configures Run.
type Config struct {
	// Registry is where services, slices and the one config map are read; its Run is the caller's.
	Registry *registry.Registry
	// Address is where queries are answered, an address of either family that no other host has a use for. --cluster-dns
	Address netip.Addr
	// Domain is the zone of the cluster's names: "cluster.local". --cluster-domain
	Domain string
	// MetricsAddress serves /metrics: ":9153". Empty: nowhere.
	MetricsAddress string
	// Version is what the metric coredns_build_info tells.
	Version string
	// Health gets the check "dns".
	Health *daemon.Health
	// Log gets one line for each change of how names are served.
	Log *slog.Logger
}

// Validate lists every fault.
func (c Config) Validate() error {
	var faults []error
	if c.Registry == nil || c.Health == nil || c.Log == nil {
		faults = append(faults, errors.New("registry, health and log must be set"))
	}
	if !c.Address.IsValid() || c.Address.Is4In6() || c.Address.Zone() != "" {
		faults = append(faults, fmt.Errorf("--cluster-dns: %s is not an address", c.Address))
	}
	if c.Domain == "" {
		faults = append(faults, errors.New("--cluster-domain: must be set"))
	}
	return errors.Join(faults...)
}
