package up

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"

	"gantry/registry/embedded"
	"gantry/registry/etcdlog"
	"gantry/registry/store"
)

// withEtcd runs work on the etcd of c: the embedded one, which is stopped after work has returned, or the external one.
func withEtcd(ctx context.Context, c Config, keys *certs, work func(context.Context, store.Store) error) error {
	if c.embedsEtcd() {
		e, err := embedded.Open(embedded.Config{
			Dir: c.path("etcd"), Port: c.EtcdPort, Quota: c.EtcdQuota, Retention: c.EtcdRetention, Log: c.Log,
			Notice: func(n embedded.Notice) {
				select {
				case c.notices <- n:
				default: // a notice is waiting already
				}
			},
			CAFile: keys.etcdAuthority.CertFile(), CertFile: keys.etcdServer.CertFile, KeyFile: keys.etcdServer.KeyFile,
		})
		if err != nil {
			return &ConfigError{err}
		}
		return withBackground(ctx, e.Run, func(ctx context.Context) error { return work(ctx, store.NewEtcd(e.Client(), e.Client())) })
	}
	// Two connections: a big list on one would delay every watch (etcd#15402).
	lists, err := c.dial()
	if err != nil {
		return err
	}
	defer lists.Close()
	watches, err := c.dial()
	if err != nil {
		return err
	}
	defer watches.Close()
	return work(ctx, store.NewEtcd(lists, watches))
}

func (c Config) dial() (*clientv3.Client, error) {
	cfg := clientv3.Config{
		Endpoints: c.EtcdServers, DialTimeout: 5 * time.Second, Logger: etcdlog.Client(c.Log),
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 3 * time.Second, // grpc-go sets TCP_USER_TIMEOUT to it: the client leaves an unreachable member after that
	}
	if strings.HasPrefix(c.EtcdServers[0], "https://") {
		t, err := c.etcdTLS()
		if err != nil {
			return nil, &ConfigError{err}
		}
		cfg.TLS = t
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %s: %w", strings.Join(c.EtcdServers, ","), err)
	}
	return client, nil
}

func (c Config) etcdTLS() (*tls.Config, error) {
	t, err := transport.TLSInfo{TrustedCAFile: c.EtcdCAFile, CertFile: c.EtcdCertFile, KeyFile: c.EtcdKeyFile}.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("--etcd-cafile, --etcd-certfile, --etcd-keyfile: %w", err)
	}
	return t, nil
}
