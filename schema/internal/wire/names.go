package wire

// head returns the first eight bytes of the name whose text begins at i, or fewer: up to and with the closing quote.
func head(s string, i int) uint64 {
	var w uint64
	if i <= len(s)-8 {
		w = word(s, i)
	} else {
		w = lastWord(s, i)
	}
	quote := w ^ ones*'"'
	if m := (quote - ones) &^ quote & highs; m != 0 {
		return w & (m ^ (m - 1))
	}
	return w
}

// lastWord is word for fewer than eight bytes at the end of s, with zeros after them.
func lastWord(s string, i int) (w uint64) {
	for n := 0; i+n < len(s); n++ {
		w |= uint64(s[i+n]) << (8 * n)
	}
	return w
}

// place is the index in the table at which the search for a name begins.
func (p *plan) place(head uint64) int {
	return int(head*0x9e3779b97f4a7c15>>48) & (len(p.table) - 1)
}

// lookup returns the field whose name's text begins at i, and the index after its closing quote; nil: there is none.
// A name of at most seven bytes is all in its head.
func (p *plan) lookup(s string, i int) (*field, int) {
	head := head(s, i)
	for at := p.place(head); p.table[at] != 0; at = (at + 1) & (len(p.table) - 1) {
		f := &p.fields[p.table[at]-1]
		if f.head != head {
			continue
		}
		name := f.key[rest : len(f.key)-1]
		if n := len(name); n <= 8 || i+n <= len(s) && s[i:i+n] == name {
			return f, i + n
		}
	}
	return nil, -1
}
