package apitest_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

// slowList is a store that gives the keys under a prefix only when released.
type slowList struct {
	store.Store
	prefix  string
	release chan struct{}
}

func (s slowList) List(ctx context.Context, start, end string, limit, revision int64) ([]*store.KV, int64, int64, error) {
	if strings.HasPrefix(start, s.prefix) {
		<-s.release
	}
	return s.Store.List(ctx, start, end, limit, revision)
}

// TestFollowAllStartsWhenAllHaveStarted checks that FollowAll calls started only after it has reported the first state of every kind, so
// that whatever changes later is reported as a change.
func TestFollowAllStartsWhenAllHaveStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		etcd := slowList{store.NewFake(), "/registry/configmaps/", make(chan struct{})}
		r := registry.New(registry.Config{Store: etcd, Kinds: kinds.New(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		ended := make(chan error, 2)
		go func() { ended <- r.Run(ctx) }()
		registrytest.Must(t)(r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, registry.WriteOptions{}))
		registrytest.Must(t)(r.Create(ctx, core.ConfigMap, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "ca"}}, registry.WriteOptions{}))

		started := false
		var said []string
		tell := func(c registry.Change) {
			switch {
			case c.Old == nil:
				said = append(said, c.New.Name+" is there")
			case c.New == nil:
				said = append(said, c.Old.Name+" is gone")
			}
		}
		go func() {
			ended <- r.FollowAll(ctx, map[*schema.Kind]func(registry.Change){
				core.Namespace: func(registry.Change) {}, core.ConfigMap: tell,
			}, func() { started = true })
		}()
		synctest.Wait()
		if started {
			t.Error("started before the config maps were listed")
		}
		close(etcd.release)
		synctest.Wait()
		if !started {
			t.Error("not started when both kinds were listed")
		}
		if _, _, err := r.Delete(ctx, core.ConfigMap, "default", "ca", registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, want := strings.Join(said, ", "), "ca is there, ca is gone"; got != want {
			t.Errorf("reported: %s; want: %s", got, want)
		}
		cancel()
		<-ended
		<-ended
	})
}

// TestFollowAppliedWaitsForEveryFollower checks that FollowApplied calls applied only when each kind's function was called for all that there was.
func TestFollowAppliedWaitsForEveryFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := registry.New(registry.Config{Store: store.NewFake(), Kinds: kinds.New(), Log: slog.New(slog.DiscardHandler)})
		ended := make(chan error, 2)
		go func() { ended <- r.Run(ctx) }()
		for _, name := range []string{"default", "other"} {
			registrytest.Must(t)(r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, registry.WriteOptions{}))
		}
		goOn, applied, calls := make(chan struct{}), false, 0
		go func() {
			ended <- r.FollowApplied(ctx, map[*schema.Kind]func(registry.Change){
				core.Namespace: func(registry.Change) { <-goOn; calls++ },
				core.ConfigMap: func(registry.Change) {},
			}, func() { applied = true })
		}()
		goOn <- struct{}{}
		synctest.Wait()
		if applied || calls != 1 {
			t.Errorf("applied after the first of two objects (%d calls)", calls)
		}
		goOn <- struct{}{}
		synctest.Wait()
		if !applied {
			t.Error("not applied after the last object")
		}
		cancel()
		<-ended
		<-ended
	})
}

func TestFollowAllOfNothingStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := registry.New(registry.Config{Store: store.NewFake(), Kinds: kinds.New()})
	if err := r.FollowAll(ctx, nil, cancel); err == nil {
		t.Error("it says that ctx is not done")
	}
	<-ctx.Done()
}

// TestAFollowersPanicIsRecovered checks that a follower that panics at one object is called for the next one.
func TestAFollowersPanicIsRecovered(t *testing.T) {
	var log bytes.Buffer
	r := registry.New(registry.Config{Store: store.NewFake(), Kinds: kinds.New(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(registrytest.Context(t))
	ended := make(chan error, 2)
	go func() { ended <- r.Run(ctx) }()
	heard := make(chan string, 8)
	go func() {
		ended <- r.Follow(ctx, core.Namespace, func(c registry.Change) {
			heard <- c.New.Name
			if c.New.Name == "hostile" {
				panic("a follower's")
			}
		})
	}()
	for _, name := range []string{"hostile", "next"} {
		registrytest.Must(t)(r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, registry.WriteOptions{}))
		select {
		case got := <-heard:
			if got != name {
				t.Errorf("heard of %s, want %s", got, name)
			}
		case <-ctx.Done():
			t.Fatalf("%s was not heard of", name)
		}
	}
	cancel()
	<-ended
	<-ended
	if text := log.String(); !strings.Contains(text, "name=hostile") || !strings.Contains(text, "TestAFollowersPanicIsRecovered") {
		t.Errorf("logged %s, want the object and the stack", text)
	}
}
