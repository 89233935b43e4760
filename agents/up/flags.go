package up

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"gantry/registry/admit/plugins"
)

// DefaultDataDir is the default of --data-dir.
const DefaultDataDir = "/var/lib/gantry"

// DataDirFlag is the flag --data-dir, which every command has.
func DataDirFlag() cli.Flag {
	return text("data-dir", DefaultDataDir, "`directory` of all of Gantry's data on this machine")
}

// Flags are the flags of a command that runs agents. Every such command takes all of them, so that one
// environment file serves all daemons of a machine. Its help shows those that its agents use.
// The environment variable of --x-y is GANTRY_X_Y.
func Flags(agents []string) []cli.Flag {
	hostname, _ := os.Hostname() // Validate rejects an empty node name
	showFor := func(f cli.Flag, of ...string) cli.Flag {
		if !slices.ContainsFunc(of, func(a string) bool { return slices.Contains(agents, a) }) {
			hide(f)
		}
		return f
	}
	flags := []cli.Flag{
		DataDirFlag(),
		list("etcd-servers", nil, "client `URLs` of an external etcd, comma separated"),
		text("etcd-cafile", "", "`file` of the authority of etcd (default: <data-dir>/pki/etcd/ca.crt)"),
		text("etcd-certfile", "", "certificate `file` shown to etcd (default: <data-dir>/pki/etcd/client.crt)"),
		text("etcd-keyfile", "", "key `file` for it (default: <data-dir>/pki/etcd/client.key)"),
		text("node-name", strings.ToLower(hostname), "`name` of this machine as a node"),
		text("node-ip", "", "`address` of this machine, or IPv4,IPv6 (default: those of the default routes)"),
		showFor(text("cluster-cidr", "10.244.0.0/16", "`range` of pod addresses; of both families: 10.244.0.0/16,fd00:10:244::/56"), "controllers", "network", "proxy"),
		showFor(number("node-cidr-mask-size-ipv4", 24, "`length` of the IPv4 prefix of a node's pods"), "controllers"),
		showFor(number("node-cidr-mask-size-ipv6", 64, "`length` of the IPv6 prefix of a node's pods"), "controllers"),
		showFor(text("service-cluster-ip-range", "10.96.0.0/16", "`range` of Service addresses; of both families: 10.96.0.0/16,fd00:10:96::/112"), "gateway", "scheduler", "controllers", "dns", "kubelet"),
		showFor(text("cluster-dns", "", "`address` at which pods' names are resolved (default: the tenth of the first --service-cluster-ip-range)"), "controllers", "dns", "kubelet"),
		showFor(text("cluster-domain", "cluster.local", "`zone` of the names of Services and pods"), "gateway", "dns", "kubelet"),
		showFor(schedulerConfig(agents), "scheduler"),
		showFor(list("controllers", []string{"*"}, "the `controllers` to run, comma separated; * is all of them, -name not that one"), "controllers"),
		showFor(list("load-balancer-addresses", nil, "`ranges` of addresses for Services of type LoadBalancer, such as 192.168.1.240/28 or 192.168.1.240-192.168.1.250, comma separated (default: the nodes' own addresses)"), "controllers"),
		showFor(&cli.BoolFlag{Name: "anonymous-auth", Value: true, EnvVars: env("anonymous-auth"), Usage: "serve requests without credentials as the user system:anonymous; --anonymous-auth=false refuses them"}, "gateway"),
		showFor(text("authentication-config", "", "`file` with an AuthenticationConfiguration: which paths are served without credentials"), "gateway"),
		showFor(list("enable-admission-plugins", nil, "admission `plug-ins` that are on besides the default ones, comma separated"), "gateway", "scheduler", "controllers"),
		showFor(list("disable-admission-plugins", nil, "default admission `plug-ins` that are off, comma separated"), "gateway", "scheduler", "controllers"),
		showFor(text("admission-control-config-file", "", "`file` with an AdmissionConfiguration: the configurations of admission plug-ins"), "gateway", "scheduler", "controllers"),
		showFor(text("bind-address", "0.0.0.0", "`address` the gateway listens on"), "gateway"),
		showFor(number("secure-port", 6443, "`port` the gateway listens on"), "gateway"),
		showFor(list("gateway", nil, "`URLs` of gateways, comma separated (default: https://127.0.0.1:<secure-port>)"), "kubelet", "controllers"),
		showFor(text("docker-host", "", "`address` of the Docker Engine (default: $DOCKER_HOST, or unix:///var/run/docker.sock)"), "kubelet"),
		showFor(number("kubelet-port", 10250, "`port` the kubelet serves logs and exec on"), "kubelet"),
		showFor(list("allowed-unsafe-sysctls", nil, "unsafe `sysctls` that pods may set, or patterns that end in *, comma separated"), "kubelet"),
		text("healthz-bind-address", "", "`address` (host:port) that serves /healthz, /readyz and /metrics of this process"),
		text("log-format", "text", "`format` of the log: text or json"),
		&cli.BoolFlag{Name: "v", EnvVars: env("v"), Usage: "log more"},
	}
	for _, f := range signingFlags() {
		flags = append(flags, showFor(f, "controllers"))
	}
	return flags
}

// schedulerConfig is the flag --scheduler-config; the command that runs the scheduler alone has upstream's name for it, --config, too.
func schedulerConfig(agents []string) cli.Flag {
	f := text("scheduler-config", "", "`file` with a KubeSchedulerConfiguration: profiles, plug-ins, weights")
	if len(agents) == 1 && agents[0] == "scheduler" {
		f.Aliases = []string{"config"}
	}
	return f
}

// UpFlags are the flags of `gantry up`.
func UpFlags() []cli.Flag {
	return append(Flags(Agents),
		list("agents", Agents, "the `agents` to run, comma separated"),
		number("etcd-port", 2379, "loopback `port` of the embedded etcd"),
		&cli.Int64Flag{Name: "etcd-quota-bytes", Value: 2 << 30, EnvVars: env("etcd-quota-bytes"), Usage: "how many `bytes` the embedded etcd's database may take"},
		&cli.DurationFlag{Name: "etcd-compaction-interval", Value: time.Hour, EnvVars: env("etcd-compaction-interval"), Usage: "how `long` the embedded etcd keeps history"},
	)
}

func text(name, value, usage string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Value: value, EnvVars: env(name), Usage: usage}
}

func number(name string, value int, usage string) *cli.IntFlag {
	return &cli.IntFlag{Name: name, Value: value, EnvVars: env(name), Usage: usage}
}

func list(name string, value []string, usage string) *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Name: name, Value: cli.NewStringSlice(value...), EnvVars: env(name), Usage: usage}
}

func env(name string) []string {
	return []string{"GANTRY_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}
}

func hide(f cli.Flag) {
	switch f := f.(type) {
	case *cli.StringFlag:
		f.Hidden = true
	case *cli.StringSliceFlag:
		f.Hidden = true
	case *cli.IntFlag:
		f.Hidden = true
	case *cli.BoolFlag:
		f.Hidden = true
	case *cli.DurationFlag:
		f.Hidden = true
	}
}

// FromFlags reads a Config from the command line of a command with Flags that runs agents.
func FromFlags(c *cli.Context, agents []string) Config {
	var anonymous *bool
	if c.IsSet("anonymous-auth") {
		given := c.Bool("anonymous-auth")
		anonymous = &given
	}
	return Config{
		AnonymousAuth: anonymous, AuthenticationConfig: c.String("authentication-config"),
		Agents:          agents,
		DataDir:         c.String("data-dir"),
		BindAddress:     c.String("bind-address"),
		SecurePort:      c.Int("secure-port"),
		Gateways:        c.StringSlice("gateway"),
		EtcdServers:     c.StringSlice("etcd-servers"),
		EtcdCAFile:      c.String("etcd-cafile"),
		EtcdCertFile:    c.String("etcd-certfile"),
		EtcdKeyFile:     c.String("etcd-keyfile"),
		NodeName:        c.String("node-name"),
		NodeIP:          c.String("node-ip"),
		DockerHost:      dockerHost(c.String("docker-host")),
		KubeletPort:     c.Int("kubelet-port"),
		UnsafeSysctls:   c.StringSlice("allowed-unsafe-sysctls"),
		SchedulerConfig: c.String("scheduler-config"),
		Controllers:     c.StringSlice("controllers"),
		Signing:         signingFrom(c),
		Admission: plugins.Options{
			Enable: c.StringSlice("enable-admission-plugins"), Disable: c.StringSlice("disable-admission-plugins"), File: c.String("admission-control-config-file"),
		},
		LoadBalancers:  c.StringSlice("load-balancer-addresses"),
		ClusterCIDR:    c.String("cluster-cidr"),
		ServiceCIDR:    c.String("service-cluster-ip-range"),
		NodeMask4:      c.Int("node-cidr-mask-size-ipv4"),
		NodeMask6:      c.Int("node-cidr-mask-size-ipv6"),
		ClusterDNS:     c.String("cluster-dns"),
		ClusterDomain:  c.String("cluster-domain"),
		HealthzAddress: c.String("healthz-bind-address"),
	}
}

// UpFromFlags is FromFlags for a command with UpFlags.
func UpFromFlags(c *cli.Context) Config {
	cfg := FromFlags(c, c.StringSlice("agents"))
	cfg.Embedded = true
	cfg.EtcdPort = c.Int("etcd-port")
	cfg.EtcdQuota = c.Int64("etcd-quota-bytes")
	cfg.EtcdRetention = c.Duration("etcd-compaction-interval")
	return cfg
}

func dockerHost(flag string) string {
	for _, host := range []string{flag, os.Getenv("DOCKER_HOST")} {
		if host != "" {
			return host
		}
	}
	return "unix:///var/run/docker.sock"
}
