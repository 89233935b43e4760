//go:build faults

package faults

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// oldMember answers as an etcd of another version would, and implements nothing else.
type oldMember struct {
	etcdserverpb.UnimplementedMaintenanceServer
	etcdserverpb.UnimplementedKVServer
	version string
}

func (o oldMember) Status(context.Context, *etcdserverpb.StatusRequest) (*etcdserverpb.StatusResponse, error) {
	return &etcdserverpb.StatusResponse{Header: &etcdserverpb.ResponseHeader{}, Version: o.version}, nil
}

func (o oldMember) Range(context.Context, *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	return &etcdserverpb.RangeResponse{Header: &etcdserverpb.ResponseHeader{Revision: 1}}, nil
}

// Case 15: an etcd that is too old, alone and among newer ones.
func TestOldEtcdIsRefused(t *testing.T) {
	e := startEtcd(t, 1)
	for name, version := range map[string]string{"alone": "3.4.27", "among others": "3.5.10"} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, "old")
			var l net.Listener
			m.in(func() {
				var err error
				l, err = net.Listen("tcp", m.addr+":2379")
				must(t, err)
			})
			s := grpc.NewServer()
			etcdserverpb.RegisterMaintenanceServer(s, oldMember{version: version})
			etcdserverpb.RegisterKVServer(s, oldMember{version: version})
			go func() { _ = s.Serve(l) }() // Stop is its only end
			t.Cleanup(s.Stop)
			urls := []string{"http://" + l.Addr().String()}
			if name != "alone" {
				urls = append(e.urls(), urls...)
			}
			p := newPlane(t, "p", urls)
			q := p.start("gantry ready", filepath.Join(p.dir, "log"), nil, gantry, p.flags...)
			select {
			case <-q.done:
			case <-q.said:
				t.Error("it is ready")
			case <-time.After(seconds(20)):
				t.Error("it did not end")
			}
			said := tail(q.log, 4000)
			t.Logf("exit %v: %s", q.cmd.ProcessState, tail(q.log, 300))
			if !contains(said, "etcd "+version+" at ", m.addr, "is too old", "upgrade it to") {
				t.Errorf("its log: %s", said)
			}
		})
	}
}
