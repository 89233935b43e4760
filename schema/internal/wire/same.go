package wire

import "bytes"

// Same tells whether two structs, to which a and b point, have the same JSON. Neither is changed. false also where there is none.
func Same(a, b any) bool {
	x, y := encoders.Get().(*encoder), encoders.Get().(*encoder)
	p, at := planOf(a)
	one := x.value(x.buf[:0], p, at)
	p, at = planOf(b)
	two := y.value(y.buf[:0], p, at)
	same := !x.failed && !y.failed && bytes.Equal(one, two)
	x.keep(one)
	y.keep(two)
	return same
}

// keep puts e back for the next, with the buffer that it has grown.
func (e *encoder) keep(b []byte) {
	if cap(b) <= maxKept {
		e.buf = b
	}
	e.failed, e.depth = false, 0
	encoders.Put(e)
}
