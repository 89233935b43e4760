package embedded_test

import (
	"context"
	"os"
	"testing"
	"time"

	"gantry/registry/leaktest"
	"gantry/registry/store"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m)) }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// put writes a raw value, as etcdctl does, and returns its revision.
func put(t *testing.T, s store.Store, key, value string) int64 {
	t.Helper()
	res, err := s.Commit(testContext(t), store.Txn{Puts: []store.Put{{Key: key, Value: []byte(value)}}})
	if err != nil {
		t.Fatal(err)
	}
	return res.Revision
}
