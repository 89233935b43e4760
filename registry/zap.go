package registry

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapOver is a zap logger, which etcd insists on, that writes warnings and errors to log.
func zapOver(log *slog.Logger) *zap.Logger {
	return zap.New(zapCore{log.With("agent", "etcd")})
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
	if e.Level > zapcore.WarnLevel {
		level = slog.LevelError
	}
	c.log.Log(context.Background(), level, e.Message, zapArgs(fields)...)
	return nil
}

// Sync has nothing to do: slog keeps nothing back.
func (c zapCore) Sync() error { return nil }

func zapArgs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	args := make([]any, 0, 2*len(fields))
	for _, f := range fields {
		f.AddTo(enc)
	}
	for k, v := range enc.Fields {
		if k == "error" {
			k = "err"
		}
		args = append(args, k, v)
	}
	return args
}
