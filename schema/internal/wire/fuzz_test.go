package wire_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema"
	"gantry/schema/kinds"
)

// FuzzDecode: whatever is taken is taken as by sigs.k8s.io/json, and encoded again as by encoding/json.
func FuzzDecode(f *testing.F) {
	for _, file := range pods {
		f.Add(read(f, file))
	}
	for _, k := range kinds.BuiltIn().All {
		randomly(k, 7, 12, func(obj schema.Object) {
			if data, err := encoded(obj); err == nil && len(data) < 3000 { // big ones are slow to vary
				f.Add(data)
			}
		})
	}
	for _, field := range []string{"string", "map", "nested", "raw", "time", "amount", "float64", "inners"} {
		for _, value := range values {
			f.Add([]byte(`{"` + field + `":` + value + `}`))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		decodedAlike[everything](t, data)
		decodedAlike[corev1.Pod](t, data)
		decodedAlike[corev1.ConfigMap](t, data)
		decodedAlike[corev1.Node](t, data)
	})
}

// FuzzEncode: whatever is encoded is encoded as by encoding/json, and decoded again as by sigs.k8s.io/json.
func FuzzEncode(f *testing.F) {
	f.Add("", []byte(nil), 0.0, int64(0), "")
	f.Add("<&>\u2028\xff\x00\"\\", []byte("abc"), 1e21, int64(-1), "1.5Gi")
	f.Add("12345678ä", []byte{}, 1e-7, int64(1<<62), "100m")
	f.Fuzz(func(t *testing.T, s string, b []byte, x float64, n int64, amount string) {
		quantity, _ := resource.ParseQuantity(amount)
		v := &everything{
			String: s, Name: name(s), Strings: []string{s}, Bytes: b, Map: map[string]string{s: s, "": s, string(b): ""}, Blobs: map[string][]byte{s: b},
			Float64: x, Float32: float32(x), Int64: n, Int32: int32(n), Int16: int16(n), Int8: int8(n), Nested: [][]int64{{n}},
			Amount: quantity, Amounts: map[name]resource.Quantity{name(s): quantity}, Lists: map[name][]string{name(s): {s}},
			Time: metav1.Unix(n>>24, 0), Micro: metav1.NewMicroTime(metav1.Unix(n>>24, n&0xffff).Time),
			IntStr: intstr.FromString(s), Raw: runtime.RawExtension{Raw: b}, Self: &everything{Bare: s},
		}
		if encodedAlike(t, v) {
			data, _ := encoded(v)
			decodedAlike[everything](t, data)
		}
	})
}
