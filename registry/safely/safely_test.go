package safely

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func hostile() { panic("hostile") }

func TestAPanicIsAnErrorWithItsStack(t *testing.T) {
	err := Call(func() error { hostile(); return nil })
	if err == nil || !strings.Contains(err.Error(), "panic: hostile") || !strings.Contains(err.Error(), "safely.hostile") {
		t.Errorf("got %v", err)
	}
	if want := errors.New("x"); Call(func() error { return want }) != want {
		t.Error("an error is another afterwards")
	}
	var log bytes.Buffer
	Do(slog.New(slog.NewTextHandler(&log, nil)), "following pods", hostile)
	if text := log.String(); !strings.Contains(text, `reason="following pods"`) || !strings.Contains(text, "safely.hostile") {
		t.Errorf("logged %s", text)
	}
}

func TestKeepRunsAgainWhatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, runs, end := time.Now(), 0, errors.New("x")
		err := Keep(t.Context(), slog.New(slog.DiscardHandler), "", func(context.Context) error {
			if runs++; runs < 4 {
				hostile()
			}
			return end
		})
		if err != end || runs != 4 || time.Since(began) != 7*time.Second {
			t.Errorf("%v after %d runs in %v, want x after 4 in 7 s", err, runs, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := Keep(ctx, slog.New(slog.DiscardHandler), "", func(context.Context) error { hostile(); return nil }); err != nil {
			t.Errorf("after ctx was done: %v", err)
		}
	})
}

func TestAPanicInAGroupIsItsError(t *testing.T) {
	g, ctx := WithContext(t.Context())
	g.SetLimit(1)
	g.Go(func() error { hostile(); return nil })
	g.Go(func() error { <-ctx.Done(); return nil })
	if err := g.Wait(); err == nil || !strings.Contains(err.Error(), "panic: hostile") {
		t.Errorf("got %v", err)
	}
}
