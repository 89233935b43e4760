package main

import (
	"encoding/json"
	"slices"
	"strings"
)

// values are what is put in place of a value of a form: right, wrong and at the limits.
func values(s *schema, sample any) []any {
	if len(s.Enum) > 0 {
		return append(append([]any{}, s.Enum...), "Unknown", "", strings.ToLower(toString(s.Enum[0])))
	}
	switch s.form() {
	case "string":
		return append(slices.Clone(formatValues[s.Format]), stringValues...)
	case "date-time":
		return []any{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05+01:00", "2026-01-02", "yesterday", ""}
	case "byte":
		return []any{"YQ==", "YQ", "!!!", "", strings.Repeat("YWFh", 400)}
	case "integer", "number":
		return []any{-1, 0, 1, 2, 65535, 65536, 2147483647, json.Number("2147483648"), json.Number("9223372036854775807"), json.Number("9223372036854775808"), -2147483648, 1.5}
	case "int-or-string":
		return []any{-1, 0, 1, 65535, 65536, "http", "", "50%", "150%", "-1%", "1", "A_B", strings.Repeat("a", 16), 1.5}
	case "quantity":
		return []any{"1", "0", "-1", "1.5", "1m", "0.1m", "1Ki", "1e3", "x", "", "1 Gi", "9223372036854775807", "99999999999999999999", 2, -2, 1.5}
	case "boolean":
		return []any{true, false}
	case "array":
		return []any{[]any{}, []any{sample, sample}, []any{nil}, []any{sample, nil}}
	}
	if s.AdditionalProperties != nil {
		return mapValues(sample)
	}
	return []any{map[string]any{}, map[string]any{"unknownField": 1}}
}

// formatValues are right and wrong values of the formats that custom kinds may have.
var formatValues = map[string][]any{
	"date":           {"2026-01-02", "2026-13-02", "2026-1-2", "2026-01-02T03:04:05Z"},
	"datetime":       {"2026-01-02T03:04:05Z", "2026-01-02"},
	"duration":       {"1h30m", "-1h", "1d", "1 hour", "P1D"},
	"ipv4":           {"1.2.3.4", "1.2.3", "::ffff:1.2.3.4"},
	"ipv6":           {"fe80::1", "::ffff:1.2.3.4", "1.2.3.4"},
	"cidr":           {"1.2.3.0/24", "1.2.3.4/33", "::/0"},
	"mac":            {"01:23:45:67:89:ab", "01-23-45-67-89-ab", "0123.4567.89ab", "01:23"},
	"uri":            {"http://a/b?c#d", "/a", "a:b", "http://a b"},
	"email":          {"a@example.com", "a@", "A <a@example.com>"},
	"hostname":       {"a.example.com", "a_b.com", "-a.com", "a..b"},
	"uuid":           {"12345678123412341234123456789abc", "12345678-1234-1234-1234-123456789ABC"},
	"uuid4":          {"12345678-1234-4234-8234-123456789abc"},
	"isbn":           {"978-3-16-148410-0", "0-321-75104-3", "1"},
	"password":       {"secret"},
	"hexcolor":       {"#fff", "#12345g", "fff"},
	"rgbcolor":       {"rgb(1,2,3)", "rgb(300,2,3)", "rgb( 1 , 2 , 3 )"},
	"bsonobjectid":   {"507f1f77bcf86cd799439011", "507f"},
	"creditcard":     {"4111111111111111", "4111111111111112"},
	"ssn":            {"111-22-3333", "000-22-3333", "111223333"},
	"k8s-short-name": {"a-b", "a.b"},
	"k8s-long-name":  {"a-b.c", "a..b"},
}

var stringValues = []any{
	"", "a", "b", "A_B", "-a", "a-", "a.b", "a/b", "/a", "/", "../a", " ", "a b", "é", "1", "0", "a=b", "a,b", "a:b", "http", "true", "None", "*", "*.a.b", "$(A)",
	"10.96.0.7", "256.0.0.1", "::1", "010.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "example.com/a", "example.com/a/b", "kubernetes.io/a", "http://a.b/c", "a\nb", "1h", "v1",
	strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 253), strings.Repeat("a", 254), strings.Repeat("a.", 140) + "a", strings.Repeat("a", 1025),
	"12345678-1234-1234-1234-123456789abc",
}

func mapValues(sample any) []any {
	out := []any{map[string]any{}}
	for _, key := range []string{
		"", "a", "A_B", "-a", "a/b", "a/b/c", "a b", "é", "/a", "example.com/a", "kubernetes.io/a", "..", ".a", "cpu", "a=b", strings.Repeat("a", 64),
		strings.Repeat("a", 254), strings.Repeat("a", 254) + "/a",
	} {
		out = append(out, map[string]any{key: sample})
	}
	return out
}

// wrongTypes are values of a type that the form does not have.
func wrongTypes(form string) []any {
	switch form {
	case "integer", "number":
		return []any{nil, "1", true, map[string]any{}, []any{}}
	case "boolean":
		return []any{nil, "true", 1, map[string]any{}}
	case "array":
		return []any{nil, "a", 1, map[string]any{}}
	case "object", "":
		return []any{nil, "a", 1, []any{}}
	case "int-or-string", "quantity":
		return []any{nil, true, map[string]any{}, []any{}}
	}
	return []any{nil, 1, true, map[string]any{}, []any{}}
}

func toString(v any) string {
	s, _ := v.(string)
	return s
}
