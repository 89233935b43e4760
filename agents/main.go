// Gantry is one binary: every agent is a command of it, and `gantry up` runs all of them in one process.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"go.etcd.io/etcd/etcdctl/v3/ctlv3"

	"gantry/agents/admin"
	"gantry/agents/internal/daemon"
	"gantry/agents/up"
)

// version is set by the linker.
var version = "devel"

// agents is the table of agents.
var agents = []struct{ name, doc string }{
	{"gateway", "serve the Kubernetes API over etcd"},
	{"scheduler", "choose nodes for pods"},
	{"controllers", "turn Deployments into pods, Services into endpoints, ..."},
	{"kubelet", "run this node's pods on the Docker Engine"},
	{"proxy", "route Service addresses to pods with nftables"},
	{"dns", "answer this node's pods' questions for names"},
	{"network", "connect this node's pods with each other and with other networks"},
}

// Exit codes: 2 is a usage error, 78 (EX_CONFIG) a configuration that a restart cannot fix.
const exitConfig = 78

func main() {
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Usage: "print the version"}
	app := &cli.App{
		Name: "gantry", Usage: "the Kubernetes API over your etcd, Docker Engine and nftables", Version: version,
		HideHelpCommand: true,
		Commands: []*cli.Command{
			{Name: "up", Usage: "run a whole cluster, or --agents of one, in this process", Flags: up.UpFlags(), Action: runUp},
			{Name: "down", Usage: "end the gantry of a data directory and remove everything it created", Flags: []cli.Flag{up.DataDirFlag()}, Action: runDown},
			{Name: "env", Usage: "print the environment for etcdctl and kubectl: eval $(gantry env)", Flags: []cli.Flag{up.DataDirFlag()}, Action: printEnv},
			{Name: "etcdctl", Usage: "run etcdctl against the cluster's etcd", Flags: []cli.Flag{up.DataDirFlag()}, SkipFlagParsing: true, Action: runEtcdctl},
			{Name: "version", Usage: "print the version", Action: func(*cli.Context) error { fmt.Println("gantry", version); return nil }},
		},
	}
	for _, a := range agents {
		app.Commands = append(app.Commands, &cli.Command{
			Name: a.name, Usage: a.doc + " (agent)", Flags: up.Flags([]string{a.name}),
			Action: func(c *cli.Context) error { return run(c, up.FromFlags(c, []string{a.name})) },
		})
	}
	commands := append(admin.Commands(admin.Config{DataDir: up.DataDirFlag(), Find: findEtcd, Machine: openMachine, Agents: up.RunPlanningAgents}), &cli.Command{
		Name: "kubeconfig", Usage: "print a kubeconfig for a user, with a fresh certificate: gantry kubeconfig jane --group devs", ArgsUsage: "USER",
		Description: "The certificate is valid for a year. What the user may do is up to roles: kubectl create rolebinding ... --user USER.",
		Flags: []cli.Flag{
			up.DataDirFlag(),
			&cli.StringSliceFlag{Name: "group", Usage: "a `group` that the user is in; may be given several times"},
			&cli.StringFlag{Name: "server", Usage: "`URL` of the gateway (default: that in <data-dir>/admin.conf)"},
		},
		Action: printKubeconfig,
	})
	app.Commands = append(app.Commands, commands...)
	if err := app.Run(admin.FlagsFirst(commands, os.Args)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		var config *up.ConfigError
		if errors.As(err, &config) {
			os.Exit(exitConfig)
		}
		os.Exit(1)
	}
}

func runUp(c *cli.Context) error { return run(c, up.UpFromFlags(c)) }

func run(c *cli.Context, cfg up.Config) error {
	if c.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q (flags come before arguments)", c.Args().First())
	}
	verbosity := 0
	if c.Bool("v") {
		verbosity = 1
	}
	log, err := daemon.Logger(c.String("log-format"), verbosity)
	if err != nil {
		return &up.ConfigError{Err: err}
	}
	cfg.Log, cfg.Version = log, version
	ctx, stop := daemon.Signals(c.Context)
	defer stop()
	return up.Run(ctx, cfg)
}

func runDown(c *cli.Context) error {
	ctx, stop := daemon.Signals(c.Context)
	defer stop()
	return up.Down(ctx, c.String("data-dir"), os.Stderr)
}

func printEnv(c *cli.Context) error {
	vars, err := up.Env(c.String("data-dir"))
	if err != nil {
		return err
	}
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		fmt.Printf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return nil
}

func printKubeconfig(c *cli.Context) error {
	if c.NArg() != 1 {
		return errors.New("usage: gantry kubeconfig USER [--group GROUP]")
	}
	text, err := up.UserKubeconfig(c.String("data-dir"), c.Args().First(), c.StringSlice("group"), c.String("server"))
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

// findEtcd returns how the etcd of a data directory is reached.
func findEtcd(dataDir string) (admin.Etcd, error) {
	vars, err := up.Env(dataDir)
	env := map[string]string{}
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return admin.Etcd{
		Servers: strings.Split(env["ETCDCTL_ENDPOINTS"], ","),
		CAFile:  env["ETCDCTL_CACERT"], CertFile: env["ETCDCTL_CERT"], KeyFile: env["ETCDCTL_KEY"],
	}, err
}

// runEtcdctl runs etcd's own etcdctl with the cluster's endpoints and certificates: those of --data-dir, else those of the
// environment, else those of GANTRY_DATA_DIR. All other arguments are etcdctl's.
func runEtcdctl(c *cli.Context) error {
	dataDir, args, err := admin.TakeDataDir(c.Args().Slice())
	if err != nil {
		return err
	}
	named := dataDir != ""
	if !named {
		dataDir = cmp.Or(os.Getenv("GANTRY_DATA_DIR"), up.DefaultDataDir)
	}
	vars, err := up.Env(dataDir)
	if err != nil && (named || os.Getenv("ETCDCTL_ENDPOINTS") == "") {
		return err
	}
	for _, v := range vars {
		if name, value, _ := strings.Cut(v, "="); named || os.Getenv(name) == "" {
			os.Setenv(name, value)
		}
	}
	os.Args = append([]string{"etcdctl"}, args...)
	ctlv3.MustStart()
	return nil
}
