package encode

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
)

func TestChecksumOfParts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 300_000)
	for i := range text {
		text[i] = byte(random.Uint32())
	}
	var sum checksum
	for rest := text; len(rest) > 0; {
		n := min(len(rest), random.IntN(20_000))
		sum = sum.then(crc32.ChecksumIEEE(rest[:n]), n)
		rest = rest[n:]
	}
	if want := (checksum{crc32.ChecksumIEEE(text), len(text)}); sum != want {
		t.Errorf("checksum %x, want %x", sum, want)
	}
}

// runningRegistry is one over a store in memory, with the namespace default.
func runningRegistry(t *testing.T) *registry.Registry {
	t.Helper()
	reg := registry.New(registry.Config{Store: store.NewFake(), Kinds: kinds.New(), Agent: "gateway", Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- reg.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("registry ended with %v", err)
		}
	})
	if _, err := registry.For[*corev1.Namespace](reg).Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	return reg
}

func TestDeflatedListIsTheList(t *testing.T) {
	ctx := context.Background()
	reg := runningRegistry(t)
	maps := registry.For[*corev1.ConfigMap](reg)
	for i := range 150 {
		_, err := maps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("map-%03d", i)},
			Data:       map[string]string{"text": strings.Repeat(fmt.Sprint(rand.Int()), 150)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(o registry.ListOptions) {
		t.Helper()
		l, err := reg.List(ctx, core.ConfigMap, "default", o)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		head := listHead("ConfigMapList", "v1", l)
		if err := sendBlocks(w, head, l); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Get("Content-Length"); got != fmt.Sprint(w.Body.Len()) {
			t.Errorf("Content-Length %s, the body has %d", got, w.Body.Len())
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(z) // checks length and checksum
		if err != nil {
			t.Fatal(err)
		}
		if want := (listBody{head: head, items: l.Items}).bytes(); !bytes.Equal(got, want) || !json.Valid(got) {
			t.Errorf("the list of %d bytes inflates to %d others", len(want), len(got))
		}
	}
	check(registry.ListOptions{})
	check(registry.ListOptions{}) // from the blocks of the first
	for _, name := range []string{"map-000", "map-077", "map-149"} {
		if _, err := maps.Modify(ctx, "default", name, func(m *corev1.ConfigMap) error { m.Data["text"] = "changed"; return nil }); err != nil {
			t.Fatal(err)
		}
		check(registry.ListOptions{})
	}
	for _, name := range []string{"map-001", "map-050"} {
		if err := maps.Delete(ctx, "default", name, registry.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		check(registry.ListOptions{})
	}
	for _, limit := range []int64{1, 40, 100} {
		check(registry.ListOptions{Limit: limit})
	}
	check(registry.ListOptions{})
}
