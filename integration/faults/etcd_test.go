//go:build faults

package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// etcd is a cluster of etcd, each member a process on its own machine.
type etcd struct {
	t       *testing.T
	members []*member
	*clientv3.Client
}

// member is a member of the cluster.
type member struct {
	*machine
	*process
	dir   string
	flags []string
}

func (m *member) url() string { return "http://" + m.addr + ":2379" }

// startEtcd starts a cluster of n members and waits until it takes writes.
func startEtcd(t *testing.T, n int, flags ...string) *etcd {
	t.Helper()
	e := &etcd{t: t}
	var initial []string
	for i := range n {
		name := fmt.Sprintf("e%d", i+1)
		m := &member{machine: newMachine(t, name), dir: filepath.Join(t.TempDir(), name)}
		e.members = append(e.members, m)
		initial = append(initial, name+"=http://"+m.addr+":2380")
	}
	for _, m := range e.members {
		peer := "http://" + m.addr + ":2380"
		m.flags = append([]string{
			"--name", m.name, "--data-dir", m.dir, "--initial-cluster", strings.Join(initial, ","),
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--listen-client-urls", m.url() + ",http://127.0.0.1:2379", "--advertise-client-urls", m.url(),
			"--log-level", "warn", "--unsafe-no-fsync",
		}, flags...)
		m.run()
	}
	e.Client = e.dial(e.urls()...)
	e.await()
	return e
}

// await waits until etcd takes writes.
func (e *etcd) await() {
	e.t.Helper()
	eventually(e.t, "etcd takes writes", waitTimeout, func() (bool, string) {
		ctx, cancel := context.WithTimeout(e.t.Context(), time.Second)
		defer cancel()
		_, err := e.Put(ctx, "/gantry-faults-ready", "yes")
		return err == nil, fmt.Sprint(err)
	})
}

// run starts the member's program.
func (m *member) run() {
	m.process = m.start("", m.dir+".log", []string{asEtcd + "=1"}, os.Args[0], m.flags...)
}

func (e *etcd) urls() (all []string) {
	for _, m := range e.members {
		all = append(all, m.url())
	}
	return all
}

// dial returns a client for the test.
func (e *etcd) dial(urls ...string) *clientv3.Client {
	e.t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: urls, DialTimeout: seconds(5), DialKeepAliveTime: seconds(2), DialKeepAliveTimeout: seconds(1), Logger: zap.NewNop(),
	})
	must(e.t, err)
	e.t.Cleanup(func() { c.Close() })
	return c
}

// leader returns the leader and the followers.
func (e *etcd) leader() (leader *member, followers []*member) {
	e.t.Helper()
	eventually(e.t, "a leader", waitTimeout, func() (bool, string) {
		leader, followers = nil, nil
		for _, m := range e.members {
			ctx, cancel := context.WithTimeout(e.t.Context(), seconds(2))
			s, err := e.Status(ctx, m.url())
			cancel()
			if err == nil && s.Leader == s.Header.MemberId {
				leader = m
			} else {
				followers = append(followers, m)
			}
		}
		return leader != nil && len(followers) == len(e.members)-1, fmt.Sprint(leader, followers)
	})
	return leader, followers
}

// revision returns the current revision.
func (e *etcd) revision() int64 {
	e.t.Helper()
	return e.get("/").Header.Revision
}

func (e *etcd) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), seconds(20))
	e.t.Cleanup(cancel)
	return ctx
}

func (e *etcd) get(key string, opts ...clientv3.OpOption) *clientv3.GetResponse {
	e.t.Helper()
	res, err := e.Get(e.ctx(), key, opts...)
	must(e.t, err)
	return res
}

// value returns the value of a key; "": it does not exist.
func (e *etcd) value(key string) string {
	e.t.Helper()
	if kvs := e.get(key).Kvs; len(kvs) > 0 {
		return string(kvs[0].Value)
	}
	return ""
}

// put writes without validation, as etcdctl does, and returns the revision.
func (e *etcd) put(key, value string) int64 {
	e.t.Helper()
	res, err := e.Put(e.ctx(), key, value)
	must(e.t, err)
	return res.Header.Revision
}

// del deletes as etcdctl does, and returns the revision.
func (e *etcd) del(key string, opts ...clientv3.OpOption) int64 {
	e.t.Helper()
	res, err := e.Delete(e.ctx(), key, opts...)
	must(e.t, err)
	return res.Header.Revision
}

// count returns the number of keys with a prefix.
func (e *etcd) count(prefix string) int64 {
	e.t.Helper()
	return e.get(prefix, clientv3.WithPrefix(), clientv3.WithCountOnly()).Count
}

// compact compacts the history up to the current revision.
func (e *etcd) compact() int64 {
	e.t.Helper()
	rev := e.revision()
	_, err := e.Compact(e.ctx(), rev)
	must(e.t, err)
	return rev
}

// change is one revision of an object.
type change struct {
	rev  int64
	gone bool
	name string
}

// history returns every change of keys with a prefix after a revision.
func (e *etcd) history(prefix string, after int64) (all []change) {
	e.t.Helper()
	now := e.revision()
	if now <= after {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.t.Context(), waitTimeout)
	defer cancel()
	end := "/gantry-faults-end"
	last := e.put(end, "")
	responses := e.Watch(ctx, "/", clientv3.WithRange("0"), clientv3.WithRev(after+1))
	for res := range responses {
		must(e.t, res.Err())
		for _, ev := range res.Events {
			if rest, ok := strings.CutPrefix(string(ev.Kv.Key), prefix); ok {
				all = append(all, change{ev.Kv.ModRevision, ev.Type == clientv3.EventTypeDelete, rest})
			}
			if ev.Kv.ModRevision >= last {
				return all
			}
		}
	}
	e.t.Fatal("the history of etcd ended early")
	return nil
}

// restart ends the member and starts it again.
func (m *member) restart(sig syscall.Signal, between func()) {
	m.t.Helper()
	m.end(sig)
	if between != nil {
		between()
	}
	m.run()
}

func withPrefix() []clientv3.OpOption { return []clientv3.OpOption{clientv3.WithPrefix()} }

// flood writes an object until the events exceed every buffer on the way to a watcher, and then its original value.
func (e *etcd) flood(key string) {
	e.t.Helper()
	was := e.value(key)
	for n := range 100 {
		e.put(key, strings.Replace(was, `"metadata":{`, fmt.Sprintf(`"metadata":{"annotations":{"n":"%d %s"},`, n, strings.Repeat("x", 200<<10)), 1))
	}
	e.put(key, was)
}
