package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/registry/store/storetest"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

func TestOlderBinaryStandsAside(t *testing.T) {
	s := store.NewFake()
	r := registrytest.Run(t, registry.Config{Store: s, Kinds: kinds.New(), Quarantine: true, Log: slog.New(slog.DiscardHandler)})
	write := func() error {
		_, err := r.Create(registrytest.Context(t), core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "n-"}}, registry.WriteOptions{})
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, s, "/gantry/version", fmt.Sprintf(`{"rules":%d}`, store.RulesVersion+1))
	err := write()
	if !errors.Is(err, registry.Unavailable) || !strings.Contains(err.Error(), "stands aside") {
		t.Errorf("a write under newer rules: %v", err)
	}
	if err := r.Ready(registrytest.Context(t)); err == nil || !strings.Contains(err.Error(), "stands aside") {
		t.Errorf("Ready under newer rules: %v", err)
	}
	if _, err := r.List(registrytest.Context(t), core.Pod, "", registry.ListOptions{}); err != nil {
		t.Errorf("a read under newer rules: %v", err)
	}
	storetest.Put(t, s, "/gantry/version", `{"rules":1}`)
	if err := write(); err != nil {
		t.Errorf("a write after the rules went back: %v", err)
	}
	storetest.Put(t, s, "/gantry/version", "rubbish")
	if err := write(); err != nil {
		t.Errorf("a write under rubbish: %v", err)
	}
}
