package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// share counts the requests of one kind.
type share struct {
	kind                     string
	requests, same, accepted int // accepted: all of the request's differences are
}

func (s share) percent() float64 {
	if s.requests == 0 {
		return 0
	}
	return 100 * float64(s.same+s.accepted) / float64(s.requests)
}

// report prints the shares, then one line per cause, then the accepted differences.
func report(w io.Writer, results []result, accepted []*acceptance, o options) error {
	shares, left := subtract(results, accepted)
	total := share{kind: "all"}
	fmt.Fprintf(w, "%-56s %8s %8s %9s %7s\n", "kind", "requests", "same", "accepted", "agree")
	for _, s := range shares {
		printShare(w, s)
		total.requests, total.same, total.accepted = total.requests+s.requests, total.same+s.same, total.accepted+s.accepted
	}
	printShare(w, total)
	groups := groupEntries(left)
	fmt.Fprintf(w, "\n%d differences of %d causes (seed %d):\n", len(left), len(groups), o.seed)
	for _, g := range groups {
		printGroup(w, g)
	}
	if o.verbose {
		fmt.Fprintln(w, "\nevery difference:")
		for _, e := range left {
			fmt.Fprintf(w, "%s | %s | %s | %s | upstream: %s | gantry: %s\n", e.kindName(), e.id, e.request, e.path, e.upstream, e.gantry)
		}
	}
	printSlowest(w, results)
	fmt.Fprintln(w, "\naccepted differences:")
	for _, a := range accepted {
		switch {
		case a.count > 0:
			fmt.Fprintf(w, "%6dx  %s\n", a.count, a.reason)
		case o.kind == "":
			fmt.Fprintf(w, "  none occurred any more: `%s`: %s\n", a.pattern, a.reason)
		}
	}
	return nil
}

// subtract takes the accepted differences away.
func subtract(results []result, accepted []*acceptance) (shares []share, left []entry) {
	for _, r := range results {
		if name := r.kindName(); len(shares) == 0 || shares[len(shares)-1].kind != name {
			shares = append(shares, share{kind: name})
		}
		s := &shares[len(shares)-1]
		s.requests++
		remaining := 0
		for _, d := range r.differences {
			if !accept(accepted, r, d) {
				remaining++
				left = append(left, entry{r, d})
			}
		}
		switch {
		case len(r.differences) == 0:
			s.same++
		case remaining == 0:
			s.accepted++
		}
	}
	return shares, left
}

func printShare(w io.Writer, s share) {
	fmt.Fprintf(w, "%-56s %8d %8d %9d %6.1f%%\n", s.kind, s.requests, s.same, s.accepted, s.percent())
}

const mostKindsNamed = 4

func printGroup(w io.Writer, g *group) {
	kinds := g.kinds
	more := ""
	if len(kinds) > mostKindsNamed {
		more = fmt.Sprintf(" and %d more", len(kinds)-mostKindsNamed)
		kinds = kinds[:mostKindsNamed]
	}
	at := ""
	if len(g.fields) > 0 {
		at = " at " + strings.Join(g.fields, ", ")
	}
	up, ga := showPair(g.shown.upstream, g.shown.gantry)
	fmt.Fprintf(w, "%5dx  %s%s  %s%s | upstream: %s | gantry: %s | e.g. %s: %s (%s)\n", g.count, strings.Join(kinds, ","), more, g.shown.path, at,
		up, ga, g.example.kindName(), g.example.id, short(g.example.request))
}

// printSlowest names the requests that take the run's time.
func printSlowest(w io.Writer, results []result) {
	slow := slices.Clone(results)
	slices.SortFunc(slow, func(a, b result) int { return cmp.Compare(b.took, a.took) })
	var total time.Duration
	for _, r := range slow {
		total += r.took
	}
	fmt.Fprintf(w, "\nrequests took %v in all; slowest:", total.Round(time.Second))
	for _, r := range slow[:min(20, len(slow))] {
		fmt.Fprintf(w, " %s %s %v;", r.kindName(), r.id, r.took.Round(time.Millisecond))
	}
	fmt.Fprintln(w)
}

const longestCommon = 60

// showPair shortens two texts so that the place where they begin to differ is seen.
func showPair(a, b string) (string, string) {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n > longestCommon {
		cut := n - longestCommon
		a, b = ".."+a[cut:], ".."+b[cut:]
	}
	return short(a), short(b)
}
