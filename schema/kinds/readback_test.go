package kinds

import (
	"bytes"
	"errors"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"gantry/schema"
	"gantry/schema/kinds/kindstest"
)

// texts are odd strings, some of which only protobuf and Go can carry.
var texts = []string{"", "a", "ä€𝄞", "\u2028", "\x00", "<&>", `"\`, "\ufffd", `\ufffd`, "\xff", "a\xff", "a\xfe", `,"$by":{"user":"x"}}`, `,"metadata":{`}

var times = []time.Time{
	{}, time.Unix(0, 0), time.Unix(1e9, 999999999), time.Unix(-62135596800, 1), time.Unix(1<<62, 0), time.Unix(-1<<62, 0),
	time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
	time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC),
}

var amounts = []string{
	"0", "1", "-1", "100m", "1.5", "0.5Gi", "1536Mi", "9223372036854775807", "-9223372036854775807", "9223372036854775808", "8Ei", "10E", "1e18", "1e19", "1e64", "1e-64", "-1e-9",
	"0.0000000001", "999999999999.5T", "1.1Ki", "123456789.123456789", "9e18", "12e3", "0e64", "1E", "1E2", ".5", "5.",
}

var raws = []string{`{}`, `{"f:spec":{".":{}}}`, ` { "a" : 1 } `, `null`, ``, `{`, `"\ud800"`, "\"\xff\"", strings.Repeat("[", 300) + strings.Repeat("]", 300), `{"a":1,"a":2}`}

// spoiler puts values at or past the edge of what JSON can tell into an object, one in so many.
type spoiler struct {
	*rand.Rand
	rarely int
}

func pick[T any](s spoiler, all []T) T { return all[s.Intn(len(all))] }

// oddly returns another value for one of a type that has odd ones; nil: it keeps what it has.
func (s spoiler) oddly(v any) any {
	odd := s.Intn(s.rarely) == 0
	switch v.(type) {
	case metav1.Time:
		if odd {
			return metav1.Time{Time: pick(s, times)}
		}
	case metav1.MicroTime:
		if odd {
			return metav1.MicroTime{Time: pick(s, times)}
		}
	case resource.Quantity: // most that FuzzerFor makes have no text
		switch {
		case odd && s.Intn(2) == 0:
			return *resource.NewScaledQuantity(s.Int63(), resource.Scale(s.Intn(100)-50))
		case odd:
			return resource.MustParse(pick(s, amounts))
		}
		return resource.MustParse(pick(s, amounts[:8]))
	case intstr.IntOrString:
		if odd {
			return intstr.IntOrString{Type: intstr.Type(s.Intn(3)), IntVal: s.Int31n(2), StrVal: pick(s, texts)}
		}
	case metav1.FieldsV1:
		if odd {
			return metav1.FieldsV1{Raw: []byte(pick(s, raws))}
		}
		return metav1.FieldsV1{Raw: []byte(`{"f:a":{}}`)}
	case string:
		if odd {
			return pick(s, texts)
		}
	}
	return nil
}

func (s spoiler) spoil(v reflect.Value) {
	if !v.CanSet() {
		return
	}
	if odd := s.oddly(v.Interface()); odd != nil {
		v.Set(reflect.ValueOf(odd))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		s.spoil(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			s.spoil(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(key))
			s.spoil(elem)
			v.SetMapIndex(key, elem)
		}
	case reflect.Struct:
		if _, is := v.Interface().(time.Time); is {
			return
		}
		for i := range v.NumField() {
			s.spoil(v.Field(i))
		}
	}
}

// readBack holds what is written against what is read of it.
func readBack(t *testing.T, k *schema.Kind, obj schema.Object) (written bool) {
	t.Helper()
	stored, data, err := schema.EncodeStored(k.Stored(), obj)
	if err != nil {
		var e *schema.ValueError
		if !errors.As(err, &e) || e.Errs[0].Field == "" {
			t.Errorf("encoding a %s: %v, want the field's name", k.Kind, err)
		}
		return false
	}
	got, err := schema.Unmarshal(k.Stored(), data)
	if err != nil {
		t.Fatalf("a %s cannot be read back: %v\n%.2000s", k.Kind, err, data)
	}
	if again, err := schema.Encode(got); err != nil || !bytes.Equal(again, data) {
		t.Fatalf("a %s that was read back is written otherwise: %v\n%.2000s\n%.2000s", k.Kind, err, data, again)
	}
	if !apiequality.Semantic.DeepEqual(stored, got) {
		t.Fatalf("a %s is read back as another:\n%.2000s", k.Kind, cmp.Diff(stored, got))
	}
	return true
}

// TestWhatIsWrittenIsReadBack checks, for objects of every kind, that what EncodeStored encodes can be decoded and is equal.
func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for _, k := range BuiltIn().All {
		t.Run(k.Kind, func(t *testing.T) {
			written := 0
			for i := range 200 {
				random := rand.New(rand.NewSource(int64(i)))
				obj := k.New()
				kindstest.Filler(random).NilChance([]float64{0, .3, .7, .95}[i%4]).NumElements(0, 1+i%3).Fill(obj)
				spoiler{random, 2 + i*5}.spoil(reflect.ValueOf(obj).Elem())
				k.SetTypeMeta(obj)
				if readBack(t, k, obj) {
					written++
				}
			}
			if written < 40 {
				t.Errorf("only %d objects were written", written)
			}
		})
	}
}

// FuzzReadBack: whatever is decoded of any bytes and then written can be read and is what it was.
func FuzzReadBack(f *testing.F) {
	seeds := []string{`{}`, `{"metadata":{"name":"a","creationTimestamp":"9999-12-31T23:59:59-01:00"}}`, `{"metadata":{"managedFields":[{"time":"0000-01-01T00:00:00+01:00","fieldsV1":{"a": [1]}}]}}`}
	for _, at := range times[:4] {
		seeds = append(seeds, `{"status":{"conditions":[{"type":"a","lastHeartbeatTime":"`+at.Format(time.RFC3339Nano)+`"}],"startTime":"0001-01-01T00:00:00Z"}}`)
	}
	for _, a := range amounts {
		seeds = append(seeds, `{"status":{"capacity":{"cpu":"`+a+`"}},"spec":{"containers":[{"resources":{"limits":{"cpu":"`+a+`"}}}],"ports":[{"targetPort":2147483648}]}}`)
	}
	for n := range BuiltIn().All {
		for _, s := range seeds {
			f.Add(uint8(n), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, data []byte) {
		k := BuiltIn().All[int(n)%len(BuiltIn().All)]
		if obj, _, err := schema.Decode(k.Stored(), data); err == nil {
			readBack(t, k, obj)
		}
	})
}
