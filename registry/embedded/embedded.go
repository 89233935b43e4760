// Package embedded runs a single-member etcd inside of this process and maintains it.
//
//   - Open starts it on its data directory, which one process alone uses. Its files are checked first: etcd itself panics where its
//     database cannot be read. Client speaks to it without a socket; with Config.Port it listens on 127.0.0.1 for etcdctl as well.
//   - Etcd.Run defragments the database, shortens history near the quota and gets etcd out of the state NOSPACE (upkeep.go).
//   - Backup writes a snapshot of any etcd to a file, Restore replaces the data of an embedded one by it.
package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"gantry/registry/etcdlog"
	"gantry/registry/store"
)

// Config is what the etcd inside of this process needs.
type Config struct {
	// Dir is etcd's data directory, as etcdutl takes it; it is made with mode 0700.
	Dir string
	// Port is where etcdctl reaches it, on 127.0.0.1; 0: nowhere, the process alone uses it.
	Port int
	// CertFile, KeyFile and CAFile are etcd's certificate and the CA that clients' certificates must be of.
	CertFile, KeyFile, CAFile string
	// Quota is how large the database may grow, in bytes; 0 is 2 GiB.
	Quota int64
	// Retention is how much history is kept; 0 is 1 h.
	Retention time.Duration
	// NoSync leaves out flushing to disk: for tests, as a power failure would lose writes.
	NoSync bool
	// Notice, when set, is called with what an admin should know; it must not block.
	Notice func(Notice)
	// Log defaults to slog.Default(). etcd's warnings and errors go there.
	Log *slog.Logger
}

// Validate returns every error.
func (c Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("--data-dir is empty"))
	}
	if c.Port < 0 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("--etcd-port %d is no port", c.Port))
	}
	if c.Port != 0 && (c.CertFile == "" || c.KeyFile == "" || c.CAFile == "") {
		errs = append(errs, errors.New("--etcd-port needs a certificate, a key and a CA"))
	}
	if c.Quota < 0 {
		errs = append(errs, fmt.Errorf("--etcd-quota-bytes %d is negative", c.Quota))
	}
	return errors.Join(errs...)
}

const (
	defaultQuota     = 2 << 30
	defaultRetention = time.Hour
	// startTimeout bounds how long etcd may take to replay its log.
	startTimeout = 2 * time.Minute
)

// Etcd is a running single-member etcd inside of this process.
type Etcd struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	lock   *os.File
	quota  int64
	upkeep *upkeep
}

// Open starts etcd on its data and returns when it serves. Run or Close must follow. There is no peer
// listener: several instances live side by side on a machine, each with its own directory and port.
func Open(cfg Config) (*Etcd, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkFiles(cfg.Dir); err != nil {
		lock.Close()
		return nil, err
	}
	e := &Etcd{lock: lock, quota: cmp.Or(cfg.Quota, defaultQuota)}
	e.upkeep = &upkeep{e: e, log: cfg.Log.With("agent", "etcd"), notify: cfg.Notice, every: upkeepEvery}
	if e.etcd, err = embed.StartEtcd(etcdConfig(cfg)); err != nil {
		lock.Close()
		return nil, startError(cfg, err)
	}
	select {
	case <-e.etcd.Server.ReadyNotify():
	case err = <-e.etcd.Err():
	case <-e.etcd.Server.StopNotify():
		err = errors.New("it stopped")
	case <-time.After(startTimeout):
		err = fmt.Errorf("it was not ready after %s", startTimeout)
	}
	if err != nil {
		e.etcd.Close()
		lock.Close()
		return nil, startError(cfg, err)
	}
	e.client = v3client.New(e.etcd.Server)
	e.client.KV = direct{e.client.KV, adapter.KvServerToKvClient(v3rpc.NewQuotaKVServer(e.etcd.Server)), e.etcd.Server}
	return e, nil
}

// direct is the KV of the client of an embedded etcd, with what lies behind it. It is a store.InProcess.
type direct struct {
	clientv3.KV
	kv     pb.KVClient
	server *etcdserver.EtcdServer
}

// Direct is store.InProcess's Direct.
func (d direct) Direct() pb.KVClient { return d.kv }

// Revision is store.InProcess's Revision.
func (d direct) Revision(ctx context.Context) (int64, error) {
	if err := d.server.LinearizableReadNotify(ctx); err != nil {
		return 0, err
	}
	return d.server.KV().Rev(), nil
}

// Watch is store.InProcess's Watch.
func (d direct) Watch(start, end string, from int64) (store.DirectWatch, error) {
	w := &watch{stream: d.server.Watchable().NewWatchStream(), stopping: d.server.StoppingNotify()}
	var err error
	if w.id, err = w.stream.Watch(context.Background(), clientv3.AutoWatchID, []byte(start), []byte(end), from); err != nil {
		w.Close()
		return nil, fmt.Errorf("watching etcd: %w", err)
	}
	return w, nil
}

// watch is a stream of etcd's with one watcher.
type watch struct {
	stream   mvcc.WatchStream
	id       mvcc.WatchID
	stopping <-chan struct{}
}

func (w *watch) Next(ctx context.Context) (clientv3.WatchResponse, bool) {
	select {
	case res := <-w.stream.Chan():
		mvcc.ReportEventReceived(len(res.Events))
		out := clientv3.WatchResponse{Header: &pb.ResponseHeader{Revision: res.Revision}, CompactRevision: res.CompactRevision, Canceled: res.CompactRevision != 0}
		for _, e := range res.Events {
			out.Events = append(out.Events, (*clientv3.Event)(e))
		}
		return out, true
	case <-w.stopping:
	case <-ctx.Done():
	}
	return clientv3.WatchResponse{}, false
}

func (w *watch) Progress() { w.stream.RequestProgress(w.id) }

func (w *watch) Close() {
	w.stream.Close()
	for res := range w.stream.Chan() {
		mvcc.ReportEventReceived(len(res.Events)) // etcd counts what waits
	}
}

// Client speaks to this etcd by function calls, with neither socket nor TLS. It ends with Run or Close.
func (e *Etcd) Client() *clientv3.Client { return e.client }

// Run maintains etcd until ctx is done or etcd fails, and closes it.
func (e *Etcd) Run(ctx context.Context) error {
	defer e.Close()
	var done sync.WaitGroup
	defer done.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done.Go(func() { e.upkeep.run(ctx) })
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.etcd.Err():
		return fmt.Errorf("running etcd: %w", err)
	case <-e.etcd.Server.StopNotify():
		return errors.New("running etcd: it stopped")
	}
}

// Close ends etcd; what uses its client must have ended before. It may be called again.
func (e *Etcd) Close() {
	if e.lock == nil {
		return
	}
	e.client.Close()
	e.etcd.Close()
	e.lock.Close()
	e.lock = nil
}

// lockDir makes the data directory and locks it for this process: etcd itself would wait until another process unlocks it.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making etcd's data directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("closing etcd's data directory to others: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking etcd's data directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("etcd's data directory %s is in use by another process: is gantry running already? (--data-dir chooses another)", dir)
		}
		return nil, fmt.Errorf("locking etcd's data directory: %w", err)
	}
	return lock, nil
}

func startError(cfg Config, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("starting etcd: port %d of 127.0.0.1 is in use by another process (--etcd-port chooses another): %w", cfg.Port, err)
	}
	return fmt.Errorf("starting etcd in %s: %w", cfg.Dir, err)
}

// etcdConfig is etcd's own configuration for one member with little memory.
func etcdConfig(cfg Config) *embed.Config {
	c := embed.NewConfig()
	c.Name = "gantry"
	c.Dir = cfg.Dir
	c.ListenPeerUrls = nil
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.ListenClientUrls, c.AdvertiseClientUrls = nil, []url.URL{{Scheme: "http", Host: "localhost:2379"}}
	if cfg.Port != 0 {
		u := url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port))}
		c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{u}, []url.URL{u}
		c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = cfg.CertFile, cfg.KeyFile
		c.ClientTLSInfo.TrustedCAFile, c.ClientTLSInfo.ClientCertAuth = cfg.CAFile, true
	}
	// A single member wins every election: short ticks make it serve at once after a start. There are no
	// other members whose heartbeats could be late.
	c.TickMs, c.ElectionMs = 100, 500
	c.AutoCompactionMode = embed.CompactorModePeriodic
	c.AutoCompactionRetention = cmp.Or(cfg.Retention, defaultRetention).String()
	c.QuotaBackendBytes = cmp.Or(cfg.Quota, defaultQuota)
	// There are no followers that need old entries of the log, so none are kept in memory.
	c.SnapshotCount, c.SnapshotCatchUpEntries = 2000, 50
	c.MaxWalFiles = 2
	c.EnableGRPCGateway = false
	c.UnsafeNoFsync = cfg.NoSync
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdlog.Server(cfg.Log))
	return c
}
