package wire_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema/internal/wire"
)

type (
	name  string
	inner struct {
		X string `json:"x,omitempty"`
		Y int32  `json:"y"`
	}
	hidden struct {
		Z      string `json:"z,omitempty"`
		String string `json:"hidden,omitempty"` // everything's own hides it
	}
)

// everything has a field of each sort that is planned for.
type everything struct {
	inner  `json:",inline"`
	hidden `json:",inline"`

	Hidden *name  `json:"hidden,omitempty"`
	Skip   string `json:"-"`
	Bare   string

	String   string                       `json:"string,omitempty"`
	Name     name                         `json:"name"`
	Bool     bool                         `json:"bool,omitempty"`
	Int8     int8                         `json:"int8,omitempty"`
	Int16    int16                        `json:"int16,omitempty"`
	Int32    int32                        `json:"int32,omitempty"`
	Int64    int64                        `json:"int64,omitempty"`
	Float32  float32                      `json:"float32,omitempty"`
	Float64  float64                      `json:"float64,omitempty"`
	Pointer  *int32                       `json:"pointer,omitempty"`
	Pointers **bool                       `json:"pointers"`
	Strings  []string                     `json:"strings,omitempty"`
	Nested   [][]int64                    `json:"nested"`
	Structs  []inner                      `json:"structs,omitempty"`
	PStructs []*inner                     `json:"pStructs"`
	PSlice   *[]name                      `json:"pSlice,omitempty"`
	Bytes    []byte                       `json:"bytes,omitempty"`
	PBytes   *[]byte                      `json:"pBytes"`
	Map      map[string]string            `json:"map,omitempty"`
	Names    map[name]name                `json:"names"`
	Blobs    map[string][]byte            `json:"blobs,omitempty"`
	Amounts  map[name]resource.Quantity   `json:"amounts,omitempty"`
	Lists    map[name][]string            `json:"lists,omitempty"`
	Inners   map[string]inner             `json:"inners"`
	Times    map[string]metav1.Time       `json:"times,omitempty"`
	PInners  map[string]*inner            `json:"pInners,omitempty"`
	Maps     map[string]map[string]string `json:"maps,omitempty"`

	Time     metav1.Time            `json:"time,omitempty"`
	PTime    *metav1.Time           `json:"pTime,omitempty"`
	ZTime    metav1.Time            `json:"zTime,omitzero"`
	ZInner   inner                  `json:"zInner,omitzero"`
	ZPTime   *metav1.Time           `json:"zpTime,omitzero"`
	Micro    metav1.MicroTime       `json:"micro"`
	Amount   resource.Quantity      `json:"amount"`
	PAmount  *resource.Quantity     `json:"pAmount,omitempty"`
	IntStr   intstr.IntOrString     `json:"intStr,omitempty"`
	PIntStr  *intstr.IntOrString    `json:"pIntStr,omitempty"`
	Duration metav1.Duration        `json:"duration"`
	Fields   *metav1.FieldsV1       `json:"fields,omitempty"`
	Raw      runtime.RawExtension   `json:"raw,omitempty"`
	Raws     []runtime.RawExtension `json:"raws,omitempty"`
	Self     *everything            `json:"self,omitempty"`
	Selves   []everything           `json:"selves,omitempty"`
}

// values are put everywhere a value may be.
var values = []string{
	`null`, `nul`, `nullx`, `true`, `false`, `tru`, `True`, `falsey`, ``, ` `, `,`, `:`, `"`, `'x'`, `]`, `}`, `[`, `{`,
	`0`, `-0`, `1`, `-1`, `+1`, `01`, `-01`, `00`, `1.`, `.5`, `1.0`, `0.0`, `-0.0`, `1e3`, `1E+3`, `1e-3`, `1e`, `1e+`, `-`, `--1`, `1x`, `0x1`, `1_0`, `NaN`, `Infinity`,
	`127`, `128`, `-128`, `-129`, `32767`, `32768`, `-32769`, `2147483647`, `2147483648`, `-2147483648`, `-2147483649`,
	`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `-9223372036854775809`, `99999999999999999999999`,
	`999999999999999999`, `0.000001`, `0.0000001`, `1e21`, `123456789e-25`, `1e400`, `3.5e38`, `-1e-400`, `1e-46`,
	`""`, `"x"`, `"<a&b>"`, `"ä€𝄞"`, "\"\u2028\u2029\"", `"\u2028"`, `"\u00e4\u20AC\ud834\udd1e"`, `"\ud834"`, `"\udd1e"`, `"\ud834x"`, `"\ud834\u0041"`, `"\ud834\ud834"`, `"\u12"`, `"\u12g4"`, `"\u`, `"\`, `"\"`, `"\\"`, `"\\\""`,
	`"\b\f\n\r\t\/\"\\"`, `"\x"`, `"\'"`, `"\é"`, "\"\n\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\"", "\"\xc3\"", "\"\xc3\x28\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x80\"", "\"abcdefg\xe2\x82\"", `"12345678\n12345678é"`, `"unfinished`, `"\u0000"`,
	`"1"`, `"1.5"`, `"100m"`, `"1Gi"`, `"1e3"`, `" 1 "`, `"\u0031"`, `"1000000000000000000000"`, `"0.0000000001"`, `"1Xi"`, `1.5`, `"-0"`, `"5s"`, `"1h2m"`, `"80%"`, `"http"`,
	`"2026-11-21T10:00:02Z"`, `"2026-11-21T10:00:02.123456Z"`, `"2026-11-21T10:00:02.123456+01:00"`, `"2026-11-21T10:00:02-07:30"`, `"2026-11-21t10:00:02z"`, `"2026-02-30T10:00:02Z"`, `"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"2026-11-21T10:00:60Z"`, `"2026-11-21"`, `"2026-11-21T10:00:02\u005a"`,
	`"aGVsbG8="`, `"aGVsbG8"`, `"aGVs\nbG8="`, `"aGVsbG8=="`, `"a"`, `"*"`, `"/+=="`, `"AA=="`, `"_-AA"`,
	`[]`, `[ ]`, `[,]`, `[null]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1,2,3,4,5,6,7,8,9]`, `[[]]`, `[[1],[2,3],null]`, `["a"]`, `["a","b",null,"\n"]`, `["a"`, `[true]`, `[{}]`, `[{"x":"a"},{"y":2},null]`, `[{"x":"a","x":"a"}]`, `[{"raw":1}]`, `[104,101]`,
	`{}`, `{ }`, `{,}`, `{"a":"b"}`, `{"a":"b","c":"d"}`, `{"a":"b","a":"b"}`, `{"a":"b","\u0061":"b"}`, `{"a":null}`, `{"":""}`, `{"":null,"":null}`, `{"a":1}`, `{"a":"1","b":"2Gi","c":3,"d":null}`, `{"a":"b",}`, `{"a" "b"}`, `{"a":}`, `{"a"}`, `{a:1}`, `{1:1}`, `{null:1}`, `{"a":"AA==","b":null,"c":""}`,
	`{"x":"a","y":3}`, `{"x":"a","y":3,"q":1}`, `{"X":"a"}`, `{"y":3,"x":"a"}`, `{"y":3.0}`, `{"\u0078":"a"}`, `{"x":null,"y":null}`, `{"a":{"x":"b"},"b":null,"c":{}}`, `{"a":["b"],"c":[],"d":null}`, `{"a":{"b":"c"},"d":{}}`, `{"f:metadata":{"f:labels":{".":{},"f:a":{}}}}`, `{ "a" : [ 1 , { } , [ ] ] }`, `{"a":[1,"\ud800"]}`, `{"a":01}`, `{"a":1}}`, `{"self":{"self":{"x":"deep"}}}`, `{"z":"a","hidden":"b","Bare":"c","bare":"d"}`,
	"{\"a\xff\":\"b\"}", "{\"\xc3\xa4\":\"b\"}", "{\"a\x01\":\"b\"}", `{"a\nb":"c","a\tb":"d"}`, `{"a":"2026-11-21T10:00:02Z","b":null}`, `{"a":"b"`, `{"a":"b"]`, `{"a":[}`,
	"[\n1 ,\t2\r]", " {\n\"x\" :\t\"a\" , \"y\": 1 } ", "\ufeff1", "1 // one", "/**/1",
}

func fieldNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); key != "" && key != "-" {
			names = append(names, key)
		}
	}
	return append(names, "x", "y", "z", "Bare")
}

// TestOddValues puts every odd value into every sort of field. What is taken must be taken as by sigs.k8s.io/json, and
// what can be decoded must be encoded as by encoding/json.
func TestOddValues(t *testing.T) {
	taken := map[string]int{}
	names := fieldNames(reflect.TypeFor[everything]())
	for _, field := range names {
		for _, value := range values {
			for _, form := range []string{`{%q:%s}`, "\n{ %q : %s\t}\r\n", `{"Bare":"b",%q:%s,"int64":7}`} {
				data := []byte(fmt.Sprintf(form, field, value))
				if decodedAlike[everything](t, data) {
					taken[field]++
				}
				lenient := new(everything)
				if len(wire.TooLarge(data, lenient)) == 0 && json.Unmarshal(data, lenient) == nil && !encodedAlike(t, lenient) && len(wire.Unreadable(lenient)) == 0 {
					t.Errorf("not encoded: %q", data)
				}
			}
		}
	}
	for _, field := range names {
		if taken[field] < 6 {
			t.Errorf("of all the odd values of %q, %d were taken", field, taken[field])
		}
	}
}

// TestOddDocuments are taken or not, always as sigs.k8s.io/json has it.
func TestOddDocuments(t *testing.T) {
	deep := func(n int, open, inside, shut string) string {
		return strings.Repeat(open, n) + inside + strings.Repeat(shut, n)
	}
	long := strings.Repeat("0123456789abcdef", 1<<14)
	for text, want := range map[string]bool{
		``: false, ` `: false, `null`: false, `[]`: false, `1`: false, `"x"`: false, `{`: false, `{}x`: false, `{}{}`: false, `{},`: false, "\x00": false, "{}\x00": false, "\ufeff{}": false,
		`{}`: true, "\t\n\r {} \n": true, `{"":1}`: false, `{"string":"a","unknown":1}`: false, `{"String":"a"}`: false, `{"bare":"a"}`: false, `{"Bare":"a"}`: true, `{"Skip":"a"}`: false, `{"-":"a"}`: false, `{"inner":{}}`: false,
		`{"string":"a","string":"a"}`: false, `{"string":null,"string":null}`: false, `{"x":"a","y":1,"z":"b"}`: true, `{"x":"a","x":"a"}`: false,
		`{"str\u0069ng":"a"}`: false, `{"string":"` + long + `"}`: true, `{"string":"` + long + `\n"}`: true, `{"` + long + `":1}`: false, `{"map":{"` + long + `":"` + long + `"}}`: true,
		deep(90, `{"self":`, `{}`, `}`): true, deep(1000, `{"self":`, `{}`, `}`): false, deep(100, `{"selves":[`, `{}`, `]}`): true, deep(1000, `{"selves":[`, `{}`, `]}`): false,
		`{"raw":` + deep(200, `[`, ``, `]`) + `}`: true, `{"raw":` + deep(9000, `[`, ``, `]`) + `}`: false, `{"raw":` + deep(100000, `[`, ``, ``): false, `{"raw":` + deep(100000, `{"a":`, ``, ``): false,
		`{"int64":` + strings.Repeat("9", 100000) + `}`: false, `{"float64":0.` + strings.Repeat("9", 10000) + `}`: true,
		`{"nested":[` + strings.Repeat(`[1,2,3],`, 5000) + `[]]}`:      true,
		`{"structs":[` + strings.Repeat(`{"x":"a"},`, 5000) + `null]}`: true,
		`{"strings":[` + strings.Repeat(`"a",`, 5000) + `1]}`:          false,
	} {
		if got := decodedAlike[everything](t, []byte(text)); got != want {
			t.Errorf("taken: %v, want %v: %.200q", got, want, text)
		}
	}
}

// TestMapsWithManyKeys checks that every key of a large map is written, once.
func TestMapsWithManyKeys(t *testing.T) {
	for _, form := range []string{`{"map":{%s}}`, `{"names":{%s}}`, `{"amounts":{%s}}`, `{"blobs":{%s}}`, `{"lists":{%s}}`} {
		value := map[string]string{"a": `"1"`, "b": `"AAAA"`, "l": `["x"]`}[form[2:3]]
		if value == "" {
			value = `"1"`
		}
		var members []string
		for i := range 40 {
			members = append(members, fmt.Sprintf(`"key-%d":%s`, i*7919%101, value))
		}
		if form[2:4] == "bl" {
			value = `"AAAA"`
		}
		if !decodedAlike[everything](t, fmt.Appendf(nil, form, strings.Join(members, ","))) {
			t.Errorf("%s was not taken", form)
		}
		if decodedAlike[everything](t, fmt.Appendf(nil, form, strings.Join(append(members, members[0]), ","))) {
			t.Errorf("%s was taken with a key twice", form)
		}
	}
}

// TestBrokenPods cuts real pods at each byte and changes them at many. None may leave anything behind for the next.
func TestBrokenPods(t *testing.T) {
	random := rand.New(rand.NewSource(9))
	for _, file := range pods {
		data := read(t, file)
		for i := range data {
			if decodedAlike[corev1.Pod](t, data[:i:i]) {
				t.Errorf("taken without its last %d bytes", len(data)-i)
			}
			if i%7 != 0 {
				continue
			}
			for _, c := range []byte{byte(random.Intn(256)), "\"\\{}[]:,0-en \n\x00\x80\xff"[random.Intn(17)]} {
				broken := append([]byte(nil), data...)
				broken[i] = c
				decodedAlike[corev1.Pod](t, broken)
				j := min(len(data), i+random.Intn(40))
				decodedAlike[corev1.Pod](t, append(append([]byte(nil), data[:i]...), data[j:]...)) // some bytes lost
				decodedAlike[corev1.Pod](t, append(append([]byte(nil), data[:j]...), data[i:]...)) // some bytes twice
			}
			if !decodedAlike[corev1.Pod](t, data) {
				t.Fatal("the pod itself was not taken")
			}
		}
	}
}

// TestOddObjects are encoded as by encoding/json, or not at all.
func TestOddObjects(t *testing.T) {
	text, yes := "a", true
	pointer, none := &yes, (*bool)(nil)
	asked := resource.MustParse("1500m")
	_ = asked.String()
	unasked := resource.MustParse("0.5Gi")
	big := resource.MustParse("123456789012345678901234567890")
	loop := new(everything)
	loop.Self = loop
	for i, c := range []struct {
		v    everything
		want bool
	}{
		{everything{}, true},
		{everything{Skip: "x", Bare: "<&>\u2028\u2029\x00\x1f\x7f\xff\xc3\"\\/\b\f\n\r\t", String: "12345678\xe2\x80", Name: "ä€𝄞\xf0\x9d\x84"}, true},
		{everything{Strings: []string{}, Nested: [][]int64{nil, {}, {1, -2}}, PStructs: []*inner{nil, {}}, PSlice: &[]name{}, Bytes: []byte{}, PBytes: new([]byte)}, true},
		{everything{Pointers: &pointer}, true},
		{everything{Pointers: &none}, true},
		{everything{Map: map[string]string{}, Names: map[name]name{"b": "2", "a": "1", "\xff": "3", "": "4"}, Blobs: map[string][]byte{"x": nil, "y": {}, "z": {1, 2}}}, true},
		{everything{Amounts: map[name]resource.Quantity{"a": asked, "b": unasked, "d": {}}, Amount: asked, PAmount: &unasked}, true},
		{everything{PAmount: &big}, false},
		{everything{Inners: map[string]inner{"b": {}, "a": {X: "x"}}, PInners: map[string]*inner{"a": nil}, Lists: map[name][]string{"a": nil, "b": {}}, Times: map[string]metav1.Time{"a": {}}, Maps: map[string]map[string]string{"b": nil, "a": {"d": "e", "c": "f"}}}, true},
		{everything{Float32: 1e-7, Float64: 1e21}, true},
		{everything{Float32: 3.4e38, Float64: 123456.789}, true},
		{everything{Float32: float32(math.Copysign(0, -1)), Float64: 5e-324}, true},
		{everything{Float64: math.NaN()}, false},
		{everything{Float32: float32(math.Inf(1))}, false},
		{everything{Int8: -128, Int16: -32768, Int32: math.MinInt32, Int64: math.MinInt64}, true},
		{everything{Time: metav1.Unix(1e9, 5), PTime: &metav1.Time{}, ZTime: metav1.Unix(0, 0), ZPTime: &metav1.Time{}, Micro: metav1.NewMicroTime(time.Unix(1e9, 123456789)), Duration: metav1.Duration{Duration: time.Minute}}, true},
		{everything{Time: metav1.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), ZPTime: &metav1.Time{Time: time.Unix(1, 0)}, ZInner: inner{Y: 1}}, true},
		{everything{Time: metav1.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)}, false},
		{everything{Time: metav1.Date(-1, 1, 1, 0, 0, 0, 0, time.FixedZone("x", 4000))}, false},
		{everything{IntStr: intstr.FromString("<80%>"), PIntStr: &intstr.IntOrString{Type: intstr.String, StrVal: "\xff\u2028"}}, true},
		{everything{IntStr: intstr.FromInt32(-1)}, true},
		{everything{IntStr: intstr.IntOrString{Type: 7}}, false},
		{everything{Fields: &metav1.FieldsV1{}, Raw: runtime.RawExtension{Raw: []byte(" {\"a\" : [ 1, \"<b>\" ] } ")}}, true},
		{everything{Raw: runtime.RawExtension{Raw: []byte("{\"a\":\"\xff\"}")}}, false},
		{everything{Fields: &metav1.FieldsV1{Raw: []byte(`{`)}}, false},
		{everything{Raw: runtime.RawExtension{Raw: []byte(``)}}, false},
		{everything{Raws: []runtime.RawExtension{{}, {Raw: []byte(`null`)}, {Raw: []byte(`{"a":"\ud800"}`)}}}, true},
		{everything{Raw: runtime.RawExtension{Raw: []byte(`1 2`)}}, false},
		{everything{Hidden: (*name)(&text), hidden: hidden{Z: "z", String: "never"}}, true},
		{*loop, false},
	} {
		if got := encodedAlike(t, &c.v); got != c.want {
			t.Errorf("object %d: encoded: %v, want %v", i, got, c.want)
		}
	}
}

// TestUnplannedTypes checks which types are left to the general codecs.
func TestUnplannedTypes(t *testing.T) {
	type clash struct {
		inner
		Other struct{ inner }
	}
	type unplanned struct {
		Name   string    `json:"name,omitempty"`
		Any    any       `json:"any,omitempty"`
		Uint   uint64    `json:"uint,omitempty"`
		Array  [2]string `json:"array,omitempty"`
		Quoted *struct {
			N int `json:",string"`
		} `json:"quoted,omitempty"`
		Keys      map[int]string `json:"keys,omitempty"`
		Number    json.Number    `json:"number,omitempty"`
		Addresses []netip.Addr   `json:"addresses,omitempty"`
	}
	if decodedAlike[unplanned](t, []byte(`{"name":"a"}`)) != true || decodedAlike[clash](t, []byte(`{"x":"a"}`)) != true {
		t.Error("not taken without what is unplanned")
	}
	for _, text := range []string{`{"any":1}`, `{"uint":1}`, `{"array":["a","b"]}`, `{"quoted":{"N":"1"}}`, `{"keys":{"1":"a"}}`, `{"number":1}`, `{"addresses":["10.0.0.1"]}`} {
		if decodedAlike[unplanned](t, []byte(text)) {
			t.Errorf("taken: %s", text)
		}
	}
	encodedAlike(t, &unplanned{Name: "a", Any: 1, Uint: 2, Number: "3"})
	encodedAlike(t, &clash{})
	if _, _, ok := wire.Encode((*inner)(nil)); ok {
		t.Error("nil was encoded")
	}
	if _, _, ok := wire.Encode(nil); ok {
		t.Error("nothing was encoded")
	}
	if wire.Decode([]byte(`{}`), nil) || wire.Decode([]byte(`{}`), (*inner)(nil)) || wire.Decode([]byte(`{}`), inner{}) {
		t.Error("decoded into nothing")
	}
}
