package schema

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"
)

// Structure is the OpenAPI v3 schema of the objects of a version without a Go type. It is kept deflated: a schema is mostly descriptions, has up to
// a megabyte, and is read when objects are written or described.
type Structure struct{ deflated []byte }

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is a valid constant
	return w
}}

// NewStructure keeps a schema, JSON.
func NewStructure(text []byte) *Structure {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	_, _ = w.Write(text) // a Buffer takes everything
	_ = w.Close()
	return &Structure{bytes.Clone(out.Bytes())}
}

// JSON is the text of the schema.
func (s *Structure) JSON() []byte {
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(s.deflated)))
	if err != nil {
		panic(err) // it is what NewStructure wrote
	}
	return text
}
