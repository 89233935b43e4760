package wire_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	kjson "sigs.k8s.io/json"

	"gantry/schema/internal/wire"
)

// decodedAlike decodes data into a zero T. If it is taken, the outcome must be what sigs.k8s.io/json makes of it without a
// complaint.
func decodedAlike[T any](t testing.TB, data []byte) (taken bool) {
	t.Helper()
	got := new(T)
	return wire.Decode(data, got) && asWanted(t, data, got)
}

func asWanted(t testing.TB, data []byte, got any) bool {
	t.Helper()
	want := reflect.New(reflect.TypeOf(got).Elem()).Interface()
	complaints, err := kjson.UnmarshalStrict(data, want)
	if err != nil || len(complaints) > 0 {
		t.Errorf("taken, but sigs.k8s.io/json says %v %v:\n%q", err, complaints, data)
	} else if !reflect.DeepEqual(got, want) {
		t.Errorf("another object than sigs.k8s.io/json makes of it (-want +got):\n%s\n%q", cmp.Diff(want, got), data)
	}
	return true
}

// encodedAlike encodes v. If that is done, the outcome must be what encoding/json writes.
func encodedAlike(t testing.TB, v any) (done bool) {
	t.Helper()
	got, _, done := wire.Encode(v)
	if !done {
		return false
	}
	if errs := wire.Unreadable(v); len(errs) > 0 {
		t.Errorf("encoded although it could not be read again: %v\n%s", errs, got)
	}
	want, err := encoded(v)
	if err != nil {
		t.Errorf("encoded, but encoding/json says %v:\n%s", err, got)
	} else if !bytes.Equal(got, want) {
		t.Errorf("encoded as\n%s\nencoding/json writes\n%s", got, want)
	}
	if len(got) != cap(got) {
		t.Errorf("%d bytes in a slice for %d", len(got), cap(got))
	}
	return true
}

// encoded is v as encoding/json writes it.
func encoded(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}
