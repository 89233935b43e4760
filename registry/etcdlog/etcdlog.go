// Package etcdlog makes etcd, its server and its client, log through the process' own logger: warnings and errors only, in that one's
// format, without what is of no use to an admin.
package etcdlog

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Server is a zap logger, which etcd insists on, that writes warnings and errors to log.
func Server(log *slog.Logger) *zap.Logger {
	return zap.New(zapCore{log.With("agent", "etcd")})
}

// Client is the logger for a client of etcd, with log's format.
func Client(log *slog.Logger) *zap.Logger {
	return zap.New(zapCore{log.With("agent", "etcd client")})
}

// zapCore is a zapcore.Core over slog.
type zapCore struct{ log *slog.Logger }

// harmless is what etcd warns of at every start of a new single member.
var harmless = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	"simple token is not cryptographically signed":                                         true,
	"Failed to detect schema version":                                                      true,
	"failed to update storage version":                                                     true,
}

// returned is what etcd's client logs and returns to its caller as well, which logs it with its own context.
var returned = map[string]bool{
	"retrying of unary invoker failed":        true,
	"retrying RecvMsg":                        true,
	"streamer failed to create ClientStream":  true,
	"failed reestablishStreamAndResendBuffer": true,
}

// Enabled tells whether a level is logged.
func (c zapCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

// With returns a core that adds fields.
func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{c.log.With(zapArgs(fields)...)}
}

// Check adds the core to what writes an entry.
func (c zapCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !harmless[e.Message] {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write logs an entry.
func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	switch {
	case returned[e.Message] || slices.ContainsFunc(fields, cancelled):
		level = slog.LevelDebug
	case e.Level > zapcore.WarnLevel:
		level = slog.LevelError
	}
	if ctx := context.Background(); c.log.Enabled(ctx, level) {
		c.log.Log(ctx, level, e.Message, zapArgs(fields)...)
	}
	return nil
}

// cancelled tells whether a field is the error of a call that its caller has cancelled.
func cancelled(f zapcore.Field) bool {
	err, is := f.Interface.(error)
	if !is || f.Type != zapcore.ErrorType {
		return false
	}
	var known rpctypes.EtcdError
	return errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled || errors.As(err, &known) && known.Code() == codes.Canceled
}

// Sync has nothing to do: slog does not buffer.
func (c zapCore) Sync() error { return nil }

func zapArgs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	args := make([]any, 0, 2*len(fields))
	for _, f := range fields {
		f.AddTo(enc)
	}
	for _, k := range slices.Sorted(maps.Keys(enc.Fields)) {
		name := k
		if k == "error" {
			name = "err"
		}
		args = append(args, name, enc.Fields[k])
	}
	return args
}
