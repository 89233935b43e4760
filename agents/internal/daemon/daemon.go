// Package daemon has what every agent's process needs: health over HTTP, metrics, signals, logging and systemd's
// notifications.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
)

// Signals returns a context that SIGINT and SIGTERM end; a second signal ends the process at once.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Logger makes a logger that writes to stderr: format "text" or "json", anything else is an error; verbosity 0 is
// Info, above it Debug.
func Logger(format string, verbosity int) (*slog.Logger, error) {
	level := slog.LevelInfo
	if verbosity > 0 {
		level = slog.LevelDebug
	}
	o := &slog.HandlerOptions{Level: level}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, o)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is neither text nor json", format)
}

// Serve serves health and /metrics on addr ("127.0.0.1:10259") until ctx is done. An empty addr serves
// nothing and waits. Metrics are those of prometheus.DefaultGatherer.
func Serve(ctx context.Context, addr string, h *Health) error {
	if addr == "" {
		<-ctx.Done()
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		mux.Handle(path, h)
		mux.Handle(path+"/", h)
	}
	mux.Handle("/metrics", promhttp.Handler())
	return ServeHTTP(ctx, &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, l)
}

// ServeHTTP runs s on l until ctx is done, then waits a few seconds for open requests and closes the others. TLS is served where
// s.TLSConfig is set.
func ServeHTTP(ctx context.Context, s *http.Server, l net.Listener) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		var err error
		if s.TLSConfig != nil {
			err = s.ServeTLS(l, "", "")
		} else {
			err = s.Serve(l)
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	})
	g.Go(func() error {
		<-gctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if s.Shutdown(grace) != nil {
			return s.Close() // watches never end by themselves
		}
		return nil
	})
	return g.Wait()
}

// readyPoll is the interval of readiness checks until the process is ready.
const readyPoll = 50 * time.Millisecond

// Notify sends systemd READY=1 once h is ready, then WATCHDOG=1 at the interval that systemd asks for, STATUS= on every
// change of h, and STOPPING=1 when ctx is done. onReady (may be nil) is called once, before READY=1.
func Notify(ctx context.Context, h *Health, onReady func()) error {
	t := time.NewTicker(readyPoll)
	defer t.Stop()
	for h.Fault(ctx) != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
	if onReady != nil {
		onReady()
	}
	notifySystemd(sd.SdNotifyReady, "STATUS=ready")
	every, err := sd.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		every = 20 * time.Second
	}
	t.Reset(every / 2)
	last := "ready"
	for {
		select {
		case <-ctx.Done():
			notifySystemd(sd.SdNotifyStopping)
			return nil
		case <-t.C:
			status := "ready"
			if err := h.Fault(ctx); err != nil && ctx.Err() == nil {
				status = err.Error()
			}
			state := []string{sd.SdNotifyWatchdog}
			if status != last {
				state, last = append(state, "STATUS="+status), status
			}
			notifySystemd(state...)
		}
	}
}

// notifySystemd ignores errors: an agent runs without systemd too.
func notifySystemd(state ...string) {
	_, _ = sd.SdNotify(false, strings.Join(state, "\n"))
}
