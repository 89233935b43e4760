package proxy

import "sort"

// edit is one element to delete or to add.
type edit struct {
	element
	data string
	del  bool
}

// changes returns the edits from have to want, sorted by key. Elements that several keys share are added before all keys and
// deleted after them. Pure.
func changes(have, want elements) []edit {
	var out []edit
	for e, data := range have {
		if now, ok := want[e]; !ok || now != data {
			out = append(out, edit{e, data, true})
		}
	}
	for e, data := range want {
		if was, ok := have[e]; !ok || was != data {
			out = append(out, edit{e, data, false})
		}
	}
	last := "\xff" // sorts after every address
	group := func(e edit) string {
		if g := e.group(); g != "" || !e.del {
			return g
		}
		return last
	}
	sort.Slice(out, func(i, j int) bool {
		x, y := out[i], out[j]
		if gx, gy := group(x), group(y); gx != gy {
			return gx < gy
		}
		if x.del != y.del {
			return x.del
		}
		if x.set != y.set {
			return (x.set < y.set) != x.del
		}
		return x.key < y.key
	})
	return out
}

// batchElements bounds the edits of one transaction: the kernel holds a lock for the length of it (kubernetes#135639).
const batchElements = 4000

// batchEnd returns how many of the edits go into the next transaction. It never splits a key's.
func batchEnd(es []edit) int {
	if len(es) <= batchElements {
		return len(es)
	}
	end := batchElements
	for end < len(es) && es[end].group() == es[end-1].group() {
		end++
	}
	return end
}
