package apitest_test

import (
	"context"

	"gantry/registry/store"
)

// interceptedStore is a store whose Commit can lose its answer.
type interceptedStore struct {
	store.Store
	commit func(ctx context.Context, s store.Store, t store.Txn) (store.TxnResult, error)
}

func (f *interceptedStore) Commit(ctx context.Context, t store.Txn) (store.TxnResult, error) {
	if f.commit != nil {
		return f.commit(ctx, f.Store, t)
	}
	return f.Store.Commit(ctx, t)
}

var errLost = &store.Error{Kind: store.Timeout, Reason: "the answer was lost", UnknownOutcome: true}
