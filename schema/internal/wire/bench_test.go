package wire_test

import (
	"encoding/json"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"gantry/schema/internal/wire"
)

// pods are one as it is served and one as a client sends it.
var pods = []string{"pod", "body"}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range pods {
		data := read(b, name)
		b.Run(name+"/wire", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !wire.Decode(data, new(corev1.Pod)) {
					b.Fatal("it is not plain")
				}
			}
		})
		b.Run(name+"/sigs.k8s.io", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := kjson.UnmarshalCaseSensitivePreserveInts(data, new(corev1.Pod)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, name := range pods {
		pod := new(corev1.Pod)
		if err := json.Unmarshal(read(b, name), pod); err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/wire", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := wire.Encode(pod); !ok {
					b.Fatal("it is not encoded")
				}
			}
		})
		b.Run(name+"/encoding", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := json.Marshal(pod); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
