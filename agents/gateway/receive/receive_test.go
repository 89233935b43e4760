package receive

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"

	"gantry/agents/gateway/decode"
)

func TestReadBody(t *testing.T) {
	for _, tt := range []struct{ length, promised int }{
		{0, -1}, {1, 1}, {511, -1}, {512, -1}, {513, -1}, {smallBody, smallBody}, {smallBody + 1, smallBody + 1}, {1 << 20, 1 << 20}, {1 << 20, -1}, {decode.MaxBody, decode.MaxBody}, {decode.MaxBody, -1},
	} {
		want := bytes.Repeat([]byte("x"), tt.length)
		for name, r := range map[string]io.Reader{"at once": bytes.NewReader(want), "in halves": iotest.HalfReader(bytes.NewReader(want))} {
			b := Body{limits: NewLimits(1)}
			err := b.read(r, tt.promised)
			if err != nil || !bytes.Equal(b.data, want) || int64(cap(b.data))-b.counted > smallBody+8<<10 || b.counted != b.limits.memory {
				t.Errorf("%d bytes of %d promised, %s: got %d in %d, of which %d are counted (%v)", tt.length, tt.promised, name, len(b.data), cap(b.data), b.counted, err)
			}
			if b.Release(); b.limits.memory != 0 || len(b.limits.by) != 0 {
				t.Errorf("%d bytes are still counted", b.limits.memory)
			}
		}
	}
	var large *http.MaxBytesError
	b := Body{limits: NewLimits(1)}
	if err := b.read(bytes.NewReader(make([]byte, decode.MaxBody+1)), -1); !errors.As(err, &large) {
		t.Errorf("a body of a byte too many: %v", err)
	}
	b = Body{limits: NewLimits(1)}
	b.limits.memory = bodyMemory - 1<<20
	if err := b.read(bytes.NewReader(make([]byte, decode.MaxBody)), -1); err == nil {
		t.Error("there is memory without end")
	}
}

func TestMemoryOfBodiesIsShared(t *testing.T) {
	b := NewLimits(2)
	for i, want := range []bool{true, true, false} {
		if b.begin("a") != want {
			t.Errorf("body %d of a user: %v", i, !want)
		}
	}
	if !b.begin("b") {
		t.Error("the other user may have none")
	}
	if !b.reserve("a", userMemory) || b.reserve("a", 1) || !b.reserve("b", userMemory) {
		t.Error("a user's memory is not his own")
	}
	b.reserve("a", -userMemory)
	b.reserve("b", -userMemory)
	for _, user := range []string{"a", "a", "b"} {
		b.end(user)
	}
	if len(b.by) != 0 || b.memory != 0 {
		t.Errorf("%d bytes, users %v", b.memory, b.by)
	}
}
