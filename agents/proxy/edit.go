package proxy

import "sort"

// edit is one element to delete or to add.
type edit struct {
	element
	data string
	del  bool
}

// changes are the edits from have to want, by key; addresses of cluster IPs and hairpins come before everything that
// is added and go after everything that is deleted. Pure.
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
	last := "\xff" // behind every address
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

// batchElements bounds one transaction: a big one holds the kernel's lock for long (kubernetes#135639).
const batchElements = 4000

// batchEnd is how many of the edits go into one transaction: at least the first key's.
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
