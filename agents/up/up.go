package up

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"gantry/agents/internal/daemon"
	"gantry/agents/internal/events"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/registry/embedded"
	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/kinds"
)

// ConfigError is a fault that a restart does not mend: of a flag, a file or the machine.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap is the fault itself.
func (e *ConfigError) Unwrap() error { return e.Err }

// Run runs the agents of c until ctx is done, then ends them and leaves containers and addresses working. It returns
// nil only when ctx is done; a *ConfigError when nothing was started.
func Run(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return &ConfigError{err}
	}
	klog.SetSlogLogger(c.Log) // where Kubernetes' libraries log
	nodeIP, err := c.nodeIP()
	if err != nil {
		return &ConfigError{err}
	}
	// Before anything else: only one process makes certificates, opens etcd's files, owns the node.
	held, err := lock(c)
	if err != nil {
		return &ConfigError{err}
	}
	defer held.Close()
	if err := preflight(ctx, c); err != nil {
		return &ConfigError{err}
	}
	keys, err := ensureCerts(c, nodeIP)
	if err != nil {
		return &ConfigError{err}
	}
	c.etcdFiles(keys)
	c.notices = make(chan embedded.Notice, 1)
	if err := writeState(held, c); err != nil {
		return err
	}
	if c.runs("gateway") {
		// Before readiness: whoever sees the process ready finds the file.
		if err := pki.Kubeconfig(c.AdminConf(), c.gatewayURL(), "admin", keys.authority, keys.admin); err != nil {
			return &ConfigError{err}
		}
	}
	return overEtcd(ctx, c, keys, func(ctx context.Context, etcd store.Store) error {
		return runAgents(ctx, c, keys, nodeIP, etcd)
	})
}

// runAgents runs everything above etcd: registries below, agents above, health beside them.
func runAgents(ctx context.Context, c Config, keys *certs, nodeIP netip.Addr, etcd store.Store) error {
	health := &daemon.Health{}
	var recorder *events.Recorder // of what the registry finds wrong in etcd
	shared := registry.New(registry.Config{
		Store: etcd, Kinds: kinds.New(), Agent: "gantry", Log: c.Log,
		ServiceCIDR: netip.MustParsePrefix(c.ServiceCIDR), Quarantine: c.controls(),
		OnBad: func(k *schema.Kind, namespace, name string, err error) { bad(recorder, k, namespace, name, err) },
	})
	recorder = events.New(shared, "registry", c.NodeName, c.Log)
	health.Ready("etcd", shared.Ready)
	a := assembly{Config: c, keys: keys, nodeIP: nodeIP, registry: shared, store: etcd, health: health}
	return under(ctx, shared.Run, a.ownPods(func(ctx context.Context) error {
		g, ctx := safely.WithContext(ctx)
		for _, name := range c.Agents {
			// Until the agent says itself how it is, under the same name.
			health.Ready(name, func(context.Context) error { return errors.New("starting") })
			g.Go(func() error {
				if err := a.run(ctx, name); err != nil {
					return fmt.Errorf("running the %s: %w", name, err)
				}
				return nil
			})
		}
		if c.controls() {
			g.Go(func() error { return safely.Keep(ctx, c.Log, "writing events", recorder.Run) })
			g.Go(func() error { return c.tellNotices(ctx, recorder) })
		}
		g.Go(func() error { return daemon.Serve(ctx, c.HealthzAddress, health) })
		g.Go(func() error { return daemon.Notify(ctx, health, c.announce) })
		return g.Wait()
	}))
}

// tellNotices makes Events of what the embedded etcd has to tell, on this machine's Node, until ctx is done.
func (c Config) tellNotices(ctx context.Context, recorder *events.Recorder) error {
	for {
		select {
		case n := <-c.notices:
			kind := corev1.EventTypeNormal
			if n.Warning {
				kind = corev1.EventTypeWarning
			}
			recorder.Ref(corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: c.NodeName, UID: types.UID(c.NodeName)}, kind, n.Reason, "%s", n.Text)
		case <-ctx.Done():
			return nil
		}
	}
}

// bad tells users of a value in etcd that cannot be read.
func bad(recorder *events.Recorder, k *schema.Kind, namespace, name string, err error) {
	recorder.Ref(corev1.ObjectReference{APIVersion: k.APIVersion(), Kind: k.Kind, Namespace: namespace, Name: name},
		corev1.EventTypeWarning, "Quarantined", "Skipped the value at /registry/%s until it is mended or deleted: %v", path.Join(k.Prefix, namespace, name), err)
}

// announce says in one line that the process is ready and what to do with it.
func (c Config) announce() {
	if !c.runs("gateway") {
		fmt.Printf("gantry %v ready\n", c.Agents)
		return
	}
	fmt.Printf("gantry ready: %s  (kubectl --kubeconfig %s get nodes)\n", c.gatewayURL(), c.AdminConf())
}

// under runs above, and below it below, whose context ends only after above has returned. The end of either
// ends both; the first error is returned.
func under(ctx context.Context, below, above func(context.Context) error) error {
	belowCtx, stopBelow := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBelow()
	aboveCtx, stopAbove := context.WithCancel(ctx)
	defer stopAbove()
	ended := make(chan error, 1)
	go func() {
		err := below(belowCtx)
		stopAbove()
		ended <- err
	}()
	err := above(aboveCtx)
	stopBelow()
	return errors.Join(err, <-ended)
}

func (c Config) nodeIP() (netip.Addr, error) {
	if c.NodeIP != "" {
		return netip.ParseAddr(c.NodeIP)
	}
	return nodeAddress()
}

// etcdFiles fills in where etcd's certificates are, unless flags said so.
func (c *Config) etcdFiles(keys *certs) {
	dir := c.path("pki", "etcd")
	for field, file := range map[*string]string{&c.EtcdCAFile: "ca.crt", &c.EtcdCertFile: "client.crt", &c.EtcdKeyFile: "client.key"} {
		if path := dir + "/" + file; *field == "" && fileExists(path) {
			*field = path
		}
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
