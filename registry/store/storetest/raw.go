package storetest

import (
	"crypto/md5"
	"fmt"
	"strings"
	"testing"

	"gantry/registry/store"
)

// Put writes a value past the registry, as etcdctl does, and returns its revision.
func Put(t testing.TB, s store.Store, key, value string) int64 {
	t.Helper()
	return commit(t, s, store.Txn{Puts: []store.Put{{Key: key, Value: []byte(value)}}})
}

// Delete deletes keys in one transaction, past the registry, and returns its revision.
func Delete(t testing.TB, s store.Store, keys ...string) int64 {
	t.Helper()
	return commit(t, s, store.Txn{Deletes: keys})
}

func commit(t testing.TB, s store.Store, txn store.Txn) int64 {
	t.Helper()
	res, err := s.Commit(within(t), txn)
	if err != nil || !res.Done {
		t.Fatalf("Commit = %+v, %v", res, err)
	}
	return res.Revision
}

// Value is a key's value and its mod revision; "", 0 where the key is absent.
func Value(t testing.TB, s store.Store, key string) (value string, revision int64) {
	t.Helper()
	kv, _, err := s.Get(within(t), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if kv == nil {
		return "", 0
	}
	return string(kv.Value), kv.ModRevision
}

// Keys are those below a prefix, which ends in "/", without it.
func Keys(t testing.TB, s store.Store, prefix string) []string {
	t.Helper()
	kvs, _, _, err := s.List(within(t), prefix, store.RangeEnd(prefix), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, kv := range kvs {
		keys = append(keys, strings.TrimPrefix(kv.Key, prefix))
	}
	return keys
}

// Pod is the value of a pod's key. labels are the pairs of a JSON object: `"app":"web"`.
func Pod(namespace, name, labels string) string {
	return fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":%q,"uid":%q,"labels":{%s}},"spec":{"containers":[{"name":"c","image":"i"}]},"status":{}}`,
		name, namespace, UID(name), labels)
}

// UID is the uid of the Pod of a name.
func UID(name string) string {
	x := md5.Sum([]byte(name))
	return fmt.Sprintf("%x-%x-%x-%x-%x", x[:4], x[4:6], x[6:8], x[8:10], x[10:])
}
