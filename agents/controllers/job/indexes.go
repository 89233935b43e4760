package job

import (
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// interval are the indexes first to last, last included.
type interval struct{ first, last int }

// indexes are completion indexes as intervals in order that neither overlap nor touch.
type indexes []interval

// parseIndexes reads the text form of a status and of a success policy, "1,3-5,7". What cannot be read is left out, as are indexes of
// completions and above.
func parseIndexes(text string, completions int) indexes {
	if text == "" {
		return nil
	}
	var all indexes
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil || first < 0 {
			continue
		}
		if first >= completions {
			break
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil || last < first {
				continue
			}
		}
		all = append(all, interval{first, min(last, completions-1)})
	}
	return indexes(nil).merge(all)
}

// String is the text form: two neighbours are "3,4", more are "3-5".
func (x indexes) String() string {
	var b strings.Builder
	for _, i := range x {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(i.first))
		switch {
		case i.last == i.first+1:
			b.WriteByte(',')
		case i.last > i.first:
			b.WriteByte('-')
		default:
			continue
		}
		b.WriteString(strconv.Itoa(i.last))
	}
	return b.String()
}

// merge are the indexes of both.
func (x indexes) merge(other indexes) indexes {
	if len(other) == 0 {
		return x
	}
	all := slices.Concat(x, other)
	slices.SortFunc(all, func(a, b interval) int { return a.first - b.first })
	out := indexes{all[0]}
	for _, i := range all[1:] {
		if end := &out[len(out)-1]; i.first <= end.last+1 {
			end.last = max(end.last, i.last)
		} else {
			out = append(out, i)
		}
	}
	return out
}

// with are x and the members of set.
func (x indexes) with(set map[int]bool) indexes {
	more := make(indexes, 0, len(set))
	for i := range set {
		more = append(more, interval{i, i})
	}
	return x.merge(more)
}

// count is how many indexes there are.
func (x indexes) count() (n int) {
	for _, i := range x {
		n += i.last - i.first + 1
	}
	return n
}

// has returns whether index i is one of x.
func (x indexes) has(i int) bool {
	at, exact := slices.BinarySearchFunc(x, i, func(v interval, i int) int { return v.first - i })
	return exact || at > 0 && x[at-1].last >= i
}

// shared is how many indexes are in both.
func (x indexes) shared(other indexes) (n int) {
	for len(x) > 0 && len(other) > 0 {
		n += max(0, min(x[0].last, other[0].last)-max(x[0].first, other[0].first)+1)
		if x[0].last < other[0].last {
			x = x[1:]
		} else {
			other = other[1:]
		}
	}
	return n
}

// firstMissing are the first n indexes below completions that are not in x.
func (x indexes) firstMissing(n, completions int) (out []int) {
	next := 0
	for _, i := range append(slices.Clone(x), interval{completions, completions}) {
		for ; next < min(i.first, completions) && len(out) < n; next++ {
			out = append(out, next)
		}
		next = max(next, i.last+1)
	}
	return out
}

// unknownIndex is the index of a pod that has none that can be read.
const unknownIndex = -1

// indexOf is the completion index of a pod by its annotation.
func indexOf(p *corev1.Pod) int {
	i, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil || i < 0 {
		return unknownIndex
	}
	return i
}

// indexesOf are the known indexes of pods.
func indexesOf(podList []*corev1.Pod) map[int]bool {
	set := map[int]bool{}
	for _, p := range podList {
		if i := indexOf(p); i != unknownIndex {
			set[i] = true
		}
	}
	return set
}
