package etcdlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"gantry/registry/store"
)

// TestEtcdLogsLikeTheProcess checks that lines of etcd's client and server have the process' format, and that a call that its caller has
// cancelled is not logged as a warning.
func TestEtcdLogsLikeTheProcess(t *testing.T) {
	for _, tt := range []struct {
		name  string
		say   func(l *zap.Logger)
		level string // "": nothing at Info
	}{
		{"a warning", func(l *zap.Logger) { l.Warn("slow", zap.Error(errors.New("disk"))) }, "WARN"},
		{"an error", func(l *zap.Logger) { l.Error("lost", zap.Error(errors.New("disk"))) }, "ERROR"},
		{"news", func(l *zap.Logger) { l.Info("started") }, ""},
		{"a cancelled call", func(l *zap.Logger) { l.Warn("call failed", zap.Error(context.Canceled)) }, ""},
		{"a call cancelled by gRPC", func(l *zap.Logger) {
			l.Error("call failed", zap.Error(status.Error(codes.Canceled, "context canceled")))
		}, ""},
		{"a wrapped one", func(l *zap.Logger) { l.Error("call failed", zap.Error(fmt.Errorf("reading: %w", context.Canceled))) }, ""},
		{"a call that came too late", func(l *zap.Logger) { l.Warn("call failed", zap.Error(context.DeadlineExceeded)) }, "WARN"},
		{"what is returned to the caller too", func(l *zap.Logger) {
			l.Warn("retrying of unary invoker failed", zap.Error(status.Error(codes.Unavailable, "refused")))
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tt.say(Client(slog.New(slog.NewTextHandler(&out, nil))))
			line := out.String()
			if tt.level == "" && line != "" || tt.level != "" && !strings.Contains(line, "level="+tt.level+" ") {
				t.Errorf("logged %q, want level %q", line, tt.level)
			}
			if tt.level != "" && (strings.Contains(line, "{") || !strings.Contains(line, `agent="etcd client"`) || !strings.Contains(line, " err=")) {
				t.Errorf("logged %q", line)
			}
			out.Reset()
			tt.say(Client(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))))
			if tt.name != "news" && strings.Count(out.String(), "\n") != 1 {
				t.Errorf("with -v it logs %q", out.String())
			}
		})
	}
}

// TestCancelledCallsAreSilent makes a client's calls end before they are answered: there is no server.
func TestCancelledCallsAreSilent(t *testing.T) {
	var out bytes.Buffer
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://127.0.0.1:1"}, Logger: Client(slog.New(slog.NewTextHandler(&out, nil))),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := store.NewEtcd(client, client)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	if _, err := s.Revision(ctx); err == nil {
		t.Error("no answer")
	}
	cancel()
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "/x"}}}); err == nil {
		t.Error("no answer")
	}
	for range s.Watch(ctx, "/x", "/y", 1, false) {
	}
	client.Close()
	if out.Len() > 0 {
		t.Errorf("logged: %s", out.String())
	}
}
