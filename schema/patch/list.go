package patch

import "slices"

// list is a JSON list in pieces, so that an element is inserted or removed without moving all elements after it.
type list struct {
	pieces [][]*node // none is empty
	size   int
}

// pieceSize is the length of a piece; one that has grown to twice as much becomes two.
const pieceSize = 512

func newList(elements []*node) *list {
	l := &list{size: len(elements)}
	for piece := range slices.Chunk(elements, pieceSize) {
		l.pieces = append(l.pieces, piece)
	}
	return l
}

// find is the piece that element i is in, and its place there. The place behind the last element is in the last piece.
func (l *list) find(i int) (piece, place int) {
	for piece = range l.pieces {
		if i < len(l.pieces[piece]) || piece == len(l.pieces)-1 {
			break
		}
		i -= len(l.pieces[piece])
	}
	return piece, i
}

func (l *list) get(i int) *node {
	piece, place := l.find(i)
	return l.pieces[piece][place]
}

func (l *list) set(i int, value *node) {
	piece, place := l.find(i)
	l.pieces[piece][place] = value
}

// insert puts a value before element i, or behind the last.
func (l *list) insert(i int, value *node) {
	l.size++
	if len(l.pieces) == 0 {
		l.pieces = [][]*node{{value}}
		return
	}
	piece, place := l.find(i)
	grown := slices.Insert(l.pieces[piece], place, value)
	l.pieces[piece] = grown
	if len(grown) >= 2*pieceSize {
		l.pieces[piece] = grown[:pieceSize:pieceSize]
		l.pieces = slices.Insert(l.pieces, piece+1, grown[pieceSize:])
	}
}

func (l *list) remove(i int) {
	l.size--
	piece, place := l.find(i)
	l.pieces[piece] = slices.Delete(l.pieces[piece], place, place+1)
	if len(l.pieces[piece]) == 0 {
		l.pieces = slices.Delete(l.pieces, piece, piece+1)
	}
}

func (l *list) append(b []byte) []byte {
	b = append(b, '[')
	first := true
	for _, piece := range l.pieces {
		for _, n := range piece {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = n.append(b)
		}
	}
	return append(b, ']')
}

func (l *list) equal(other *list) bool {
	if l.size != other.size {
		return false
	}
	theirs := slices.Concat(other.pieces...)
	i := 0
	for _, piece := range l.pieces {
		for _, n := range piece {
			if !n.equal(theirs[i]) {
				return false
			}
			i++
		}
	}
	return true
}
