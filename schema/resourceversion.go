package schema

import (
	"bytes"
	"slices"
	"strconv"
)

// SetResourceVersion returns the bytes of an object, in the form that Encode gives them, with metadata.resourceVersion set; false: they
// are not of that form.
//
//	{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","uid":"1-2","resourceVersion":"7",...
func SetResourceVersion(data []byte, revision int64) ([]byte, bool) {
	at, end, ok := revisionSpan(data)
	if !ok {
		return nil, false
	}
	out := make([]byte, 0, len(data)+len(metaRevision)+24)
	out = append(out, data[:at]...)
	if c := data[at-1]; c != '{' && c != ',' {
		out = append(out, ',')
	}
	out = append(out, metaRevision...)
	out = append(out, '"')
	out = strconv.AppendInt(out, revision, 10)
	out = append(out, '"')
	if end < len(data) && data[end] != '}' {
		out = append(out, ',')
	}
	return append(out, data[end:]...), true
}

// revisionSpan is where metadata.resourceVersion stands, with the comma after it, or would stand: [at, end).
func revisionSpan(data []byte) (at, end int, ok bool) {
	meta := []byte(`,"metadata":{`)
	start := bytes.Index(data, meta)
	if start < 0 || bytes.IndexByte(data[1:start], '{') >= 0 {
		return 0, 0, false
	}
	member := func(name []byte) bool { // skips the member of that name, and the comma after it
		if !bytes.HasPrefix(data[end:], name) {
			return false
		}
		n := stringEnd(data[end+len(name):])
		if n < 0 {
			ok = false
			return false
		}
		if end += len(name) + n; end < len(data) && data[end] == ',' {
			end++
		}
		return true
	}
	end, ok = start+len(meta), true
	for slices.ContainsFunc(metaBeforeRevision, member) {
	}
	at = end
	member(metaRevision)
	return at, end, ok
}

// EqualWithoutResourceVersion tells whether an object's bytes, which have no resourceVersion, equal final without its own.
func EqualWithoutResourceVersion(value, final []byte) bool {
	at, _, ok := revisionSpan(value)
	from, end, okFinal := revisionSpan(final)
	comma := []byte{','} // not before the last member
	return ok && okFinal && bytes.Equal(value[at:], final[end:]) &&
		bytes.Equal(bytes.TrimSuffix(value[:at], comma), bytes.TrimSuffix(final[:from], comma))
}

// The members of metadata that Encode writes before resourceVersion, and that one.
var (
	metaBeforeRevision = [][]byte{
		[]byte(`"name":`), []byte(`"generateName":`), []byte(`"namespace":`), []byte(`"selfLink":`), []byte(`"uid":`),
	}
	metaRevision = []byte(`"resourceVersion":`)
)

// stringEnd is the length of the JSON string that data starts with; -1: there is none.
func stringEnd(data []byte) int {
	if len(data) == 0 || data[0] != '"' {
		return -1
	}
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}
