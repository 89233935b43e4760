package batch

import (
	"fmt"
	"strconv"
	"strings"
)

// indexRange are the indexes first to last of an indexed job, last included.
type indexRange struct{ first, last int32 }

// parseIndexRange reads "3" or "3-5", of which each index must be less than completions.
func parseIndexRange(text string, completions int32) (indexRange, error) {
	parts := strings.SplitN(text, "-", 3)
	if len(parts) > 2 {
		return indexRange{}, fmt.Errorf("the fragment %q violates the requirement that an index interval can have at most two parts separated by '-'", text)
	}
	var n [2]int32
	for i, part := range parts {
		v, err := strconv.Atoi(part)
		if err != nil {
			return indexRange{}, fmt.Errorf("cannot convert string to integer for index: %q", part)
		}
		if v >= int(completions) {
			return indexRange{}, fmt.Errorf("too large index: %q", part)
		}
		n[i] = int32(v)
	}
	if len(parts) == 1 {
		return indexRange{n[0], n[0]}, nil
	}
	if n[0] >= n[1] {
		return indexRange{}, fmt.Errorf("non-increasing order, previous: %d, current: %d", n[0], n[1])
	}
	return indexRange{n[0], n[1]}, nil
}

// countIndexes reads a list of indexes as a job's status and success policy have it, "1,3-5,7", and returns how many there are.
func countIndexes(text string, completions int32) (total int32, err error) {
	if text == "" {
		return 0, nil
	}
	var before *indexRange
	for part := range strings.SplitSeq(text, ",") {
		r, err := parseIndexRange(part, completions)
		if err != nil {
			return 0, err
		}
		if before != nil && before.last >= r.first {
			return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", before.last, r.first)
		}
		total += r.last - r.first + 1
		before = &r
	}
	return total, nil
}

// readableRanges are those of a list that can be read; the errors of the others are reported where its format is checked.
func readableRanges(text string, completions int32) (list []indexRange) {
	for part := range strings.SplitSeq(text, ",") {
		if r, err := parseIndexRange(part, completions); err == nil {
			list = append(list, r)
		}
	}
	return list
}

// firstShared returns the first index that is in both lists, which are in order.
func firstShared(completed, failed string, completions int32) (index int32, shared bool) {
	if completed == "" || failed == "" {
		return 0, false
	}
	c, f := readableRanges(completed, completions), readableRanges(failed, completions)
	for len(c) > 0 && len(f) > 0 {
		if c[0].first <= f[0].last && f[0].first <= c[0].last {
			return max(c[0].first, f[0].first), true
		}
		if c[0].first <= f[0].first {
			c = c[1:]
		} else {
			f = f[1:]
		}
	}
	return 0, false
}
