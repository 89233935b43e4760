package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"gantry/registry"
	"gantry/registry/customkinds"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/kinds"
)

// Etcd is how an etcd is reached.
type Etcd struct {
	Servers                   []string
	CAFile, CertFile, KeyFile string
}

func etcdFlags() []cli.Flag {
	flag := func(name, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, Usage: usage, EnvVars: []string{"GANTRY_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))}}
	}
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "etcd-servers", EnvVars: []string{"GANTRY_ETCD_SERVERS"}, Usage: "client `URLs` of etcd (default: those of the gantry of --data-dir)"},
		flag("etcd-cafile", "`file` of the authority of etcd"),
		flag("etcd-certfile", "certificate `file` shown to etcd"),
		flag("etcd-keyfile", "key `file` for it"),
	}
}

// session is what one run of a command works with.
type session struct {
	ctx    context.Context
	client *clientv3.Client
	store  store.Store
	// kinds are those of the cluster. Every command takes them from here.
	kinds *schema.Set
	out   io.Writer
	notes io.Writer // hints beside the result: standard error
	now   time.Time
	local *time.Location
}

const (
	// dialTimeout bounds connecting to etcd and its first answer.
	dialTimeout = 4 * time.Second
	// commandTimeout bounds a whole command.
	commandTimeout = 10 * time.Minute
)

// withSession runs a command on the etcd that its flags name.
func (cfg Config) withSession(c *cli.Context, f func(*cli.Context, *session) error) error {
	e := Etcd{c.StringSlice("etcd-servers"), c.String("etcd-cafile"), c.String("etcd-certfile"), c.String("etcd-keyfile")}
	if len(e.Servers) == 0 {
		var err error
		if e, err = cfg.Find(c.String("data-dir")); err != nil {
			return fmt.Errorf("%w (--data-dir or --etcd-servers says where etcd is)", err)
		}
	}
	ctx, cancel := context.WithTimeout(c.Context, commandTimeout)
	defer cancel()
	connect := cfg.connect
	if connect == nil {
		connect = dial
	}
	client, done, err := connect(ctx, e)
	if err != nil {
		return err
	}
	defer done()
	etcd := store.NewEtcd(client, client)
	all, bad, err := customkinds.Read(ctx, etcd, kinds.BuiltIn())
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		fmt.Fprintf(c.App.ErrWriter, "the custom kind of %s is not known: %v\n", name, bad[name])
	}
	return f(c, &session{
		ctx: ctx, client: client, store: etcd, kinds: all,
		out: c.App.Writer, notes: c.App.ErrWriter, now: time.Now(), local: time.Local,
	})
}

// dial connects to etcd and waits for its first answer. done closes the connection.
func dial(ctx context.Context, e Etcd) (_ *clientv3.Client, done func(), err error) {
	cfg := clientv3.Config{Endpoints: e.Servers, DialTimeout: dialTimeout, Logger: zap.NewNop(), MaxCallRecvMsgSize: 1 << 30}
	if strings.HasPrefix(e.Servers[0], "https://") {
		t, err := e.tls()
		if err != nil {
			return nil, nil, err
		}
		cfg.TLS = t
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to etcd at %s: %w", strings.Join(e.Servers, ","), err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := store.NewEtcd(client, client).Revision(ctx); err != nil {
		client.Close()
		var fault *store.Error
		if errors.As(err, &fault) && fault.Cause != nil && !errors.Is(err, registry.Forbidden) {
			return nil, nil, fmt.Errorf("etcd at %s does not answer: is gantry (or that etcd) running? (%w)", strings.Join(e.Servers, ","), fault.Cause)
		}
		return nil, nil, fmt.Errorf("asking etcd at %s: %w", strings.Join(e.Servers, ","), err)
	}
	return client, func() { client.Close() }, nil
}

func (e Etcd) tls() (*tls.Config, error) {
	t, err := transport.TLSInfo{TrustedCAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile}.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading etcd's certificates (--etcd-cafile, --etcd-certfile, --etcd-keyfile): %w", err)
	}
	return t, nil
}

// discardLog is the log of a registry inside a command: what fails is the command's error.
func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
