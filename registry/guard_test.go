package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gantry/registry/store"
)

func TestOlderBinaryStandsAside(t *testing.T) {
	s := store.NewFake()
	r := runRegistry(t, Config{Store: s, Kinds: testKinds, Quarantine: true, Log: slog.New(slog.DiscardHandler)})
	write := func() error {
		_, err := r.store.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: "/x"}}})
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "/gantry/version", fmt.Sprintf(`{"rules":%d}`, store.RulesVersion+1))
	err := write()
	if !errors.Is(err, Unavailable) || !strings.Contains(err.Error(), "stands aside") {
		t.Errorf("a write under newer rules: %v", err)
	}
	if err := r.Ready(testContext(t)); err == nil || !strings.Contains(err.Error(), "stands aside") {
		t.Errorf("Ready under newer rules: %v", err)
	}
	if _, err := r.List(testContext(t), podKind, "", ListOptions{}); err != nil {
		t.Errorf("a read under newer rules: %v", err)
	}
	put(t, s, "/gantry/version", `{"rules":1}`)
	if err := write(); err != nil {
		t.Errorf("a write after the rules went back: %v", err)
	}
	put(t, s, "/gantry/version", "rubbish")
	if err := write(); err != nil {
		t.Errorf("a write under rubbish: %v", err)
	}
}
