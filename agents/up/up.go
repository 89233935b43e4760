package up

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"gantry/agents/internal/daemon"
	"gantry/agents/internal/events"
	"gantry/agents/internal/pki"
	"gantry/agents/internal/webhookclient"
	"gantry/registry"
	"gantry/registry/admit/webhooks"
	"gantry/registry/customkinds"
	"gantry/registry/embedded"
	"gantry/registry/safely"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/kinds"
)

// ConfigError is an error that a restart cannot fix: of a flag, a file or the machine.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ConfigError) Unwrap() error { return e.Err }

// Run runs the agents of c until ctx is done. Containers keep running and addresses keep working after it. It returns
// nil only when ctx is done; a *ConfigError when nothing was started.
func Run(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return &ConfigError{err}
	}
	klog.SetSlogLogger(c.Log) // for Kubernetes' libraries
	nodeIPs, err := c.nodeIPs()
	if err != nil {
		return &ConfigError{err}
	}
	// First, as only one process may create certificates, open etcd's files and run the node.
	lockFile, err := lock(c)
	if err != nil {
		return &ConfigError{err}
	}
	defer lockFile.Close()
	if err := preflight(ctx, c); err != nil {
		return &ConfigError{err}
	}
	keys, err := ensureCerts(c, nodeIPs)
	if err != nil {
		return &ConfigError{err}
	}
	c.etcdFiles(keys)
	c.notices = make(chan embedded.Notice, 1)
	if err := writeLockInfo(lockFile, c); err != nil {
		return err
	}
	if c.runs("gateway") {
		// Before readiness: the file exists when the process is ready.
		if err := pki.Kubeconfig(c.AdminConf(), c.gatewayURL(), "admin", keys.authority, keys.admin); err != nil {
			return &ConfigError{err}
		}
	}
	return withEtcd(ctx, c, keys, func(ctx context.Context, etcd store.Store) error {
		return runAgents(ctx, c, keys, nodeIPs, etcd)
	})
}

// runAgents runs the registries and, on them, the agents, with health and Events beside.
func runAgents(ctx context.Context, c Config, keys *certs, nodeIPs []netip.Addr, etcd store.Store) error {
	health := &daemon.Health{}
	var recorder *events.Recorder // of values in etcd that cannot be read, and of webhooks that fail
	var shared *registry.Registry
	failures := webhookFailures{}
	client := &webhookclient.Client{}
	c.Admission.Webhooks = client
	c.Admission.OnFailure = func(f webhooks.Failure) { failures.record(recorder, f, time.Now()) }
	c.Admission.CreateNamespace = func(ctx context.Context, name string) error { return createNamespace(ctx, shared, name) }
	rules, err := c.Admission.Rules()
	if err != nil {
		return &ConfigError{err}
	}
	shared = registry.New(registry.Config{
		Store: etcd, Kinds: kinds.New(), Agent: "gantry", Log: c.Log, Webhooks: client, Admission: rules,
		ServiceCIDRs: c.serviceCIDRs(), Quarantine: c.writesAnyKind(),
		OnBad: func(k *schema.Kind, namespace, name string, err error) {
			recordUnreadable(recorder, k, namespace, name, err)
		},
	})
	recorder = events.New(shared, "registry", c.NodeName, c.Log)
	health.Ready("etcd", shared.Ready)
	custom := customkinds.New(shared, c.Log)
	a := assembly{Config: c, keys: keys, nodeIPs: nodeIPs, registry: shared, store: etcd, health: health, customKinds: custom.Loaded()}
	return withBackground(ctx, shared.Run, a.withNodeRegistry(func(ctx context.Context) error {
		g, ctx := safely.WithContext(ctx)
		for _, name := range c.Agents {
			// The agent replaces this check by its own of the same name.
			health.Ready(name, func(context.Context) error { return errors.New("starting") })
			g.Go(func() error {
				if err := a.run(ctx, name); err != nil {
					return fmt.Errorf("running the %s: %w", name, err)
				}
				return nil
			})
		}
		if c.writesAnyKind() {
			health.Ready("custom-kinds", custom.Ready)
			g.Go(func() error { return safely.Keep(ctx, c.Log, "following the definitions of custom kinds", custom.Run) })
			g.Go(func() error { return safely.Keep(ctx, c.Log, "writing events", recorder.Run) })
			g.Go(func() error { return c.recordNotices(ctx, recorder) })
		}
		g.Go(func() error { return daemon.Serve(ctx, c.HealthzAddress, health) })
		g.Go(func() error { return daemon.Notify(ctx, health, c.printReady) })
		return g.Wait()
	}))
}

// recordNotices records the embedded etcd's notices as Events of this machine's Node until ctx is done.
func (c Config) recordNotices(ctx context.Context, recorder *events.Recorder) error {
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

// recordUnreadable records an Event about a value in etcd that cannot be read.
func recordUnreadable(recorder *events.Recorder, k *schema.Kind, namespace, name string, err error) {
	recorder.Ref(corev1.ObjectReference{APIVersion: k.APIVersion(), Kind: k.Kind, Namespace: namespace, Name: name},
		corev1.EventTypeWarning, "Quarantined", "Skipped the value at /registry/%s until it is repaired or deleted: %v", path.Join(k.Prefix, namespace, name), err)
}

// printReady prints one line: the process is ready, and how to reach it.
func (c Config) printReady() {
	if !c.runs("gateway") {
		fmt.Printf("gantry %v ready\n", c.Agents)
		return
	}
	fmt.Printf("gantry ready: %s  (kubectl --kubeconfig %s get nodes)\n", c.gatewayURL(), c.AdminConf())
}

// withBackground runs work, and beside it background, whose context is cancelled only after work has returned. When either returns the
// other is cancelled. It returns the errors of both.
func withBackground(ctx context.Context, background, work func(context.Context) error) error {
	backgroundCtx, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	workCtx, stopWork := context.WithCancel(ctx)
	defer stopWork()
	ended := make(chan error, 1)
	go func() {
		err := background(backgroundCtx)
		stopWork()
		ended <- err
	}()
	err := work(workCtx)
	stopBackground()
	return errors.Join(err, <-ended)
}

// etcdFiles sets the paths of etcd's certificates that no flag has set, where the files exist.
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
