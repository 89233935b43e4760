package main

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// mutation is one change of a valid object: the last edit; those before it make the field's parents.
type mutation struct {
	edits  []edit
	weight float64 // how often it is chosen relative to others
}

func (m mutation) String() string { return m.edits[len(m.edits)-1].String() }

// mutator lists the mutations of one kind's example.
type mutator struct {
	all schemas
	out []mutation
}

const (
	deepestAbsent = 4  // levels below the example's own values
	deepest       = 14 // levels in all
	fieldWeight   = 8. // of the values of one field together
)

// mutate lists the mutations of every field that the schema has, present in the example or not, in a stable order.
func mutate(all schemas, root *schema, example any) []mutation {
	m := &mutator{all: all}
	m.fields(root, nil, example, nil, nil, 0, 1)
	return m.out
}

// field adds the mutations of one value and of what is below it. base makes the value where the example has none; refs are the
// schemas it is inside of.
func (m *mutator) field(s *schema, path []string, value any, base []edit, refs []string, absent int, weight float64) {
	s, ref := m.all.resolve(s)
	if absent > deepestAbsent || len(path) > deepest || count(refs, ref) > 1 {
		return
	}
	if ref != "" {
		refs = append(slices.Clone(refs), ref)
	}
	form := s.form()
	set := func(v any, weight float64) {
		m.out = append(m.out, mutation{append(slices.Clone(base), edit{path: path, value: v}), weight})
	}
	good := values(s, m.inner(s))
	for _, v := range good {
		set(v, weight*fieldWeight/float64(len(good)))
	}
	wrong := wrongTypes(form)
	for _, v := range wrong {
		set(v, weight/float64(len(wrong)))
	}
	if len(base) == 0 {
		m.out = append(m.out, mutation{[]edit{{path: path, remove: true}}, weight * 2})
	}
	switch {
	case form == "array":
		m.child(s.Items, append(slices.Clone(path), "0"), first(value), base, refs, absent, weight)
	case s.AdditionalProperties != nil:
		key, one := "a", any(nil)
		if have, _ := value.(map[string]any); len(have) > 0 {
			key = slices.Sorted(maps.Keys(have))[0]
			one = have[key]
		}
		m.child(s.AdditionalProperties, append(slices.Clone(path), key), one, base, refs, absent, weight)
	default:
		m.fields(s, path, value, base, refs, absent, weight)
	}
}

// fields adds the mutations of an object's fields.
func (m *mutator) fields(s *schema, path []string, value any, base []edit, refs []string, absent int, weight float64) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		w := weight
		if len(path) == 0 && (name == "metadata" || name == "apiVersion" || name == "kind") {
			w = 0.2
		}
		m.child(s.Properties[name], append(slices.Clone(path), name), lookUp(value, name), base, refs, absent, w)
	}
}

func (m *mutator) child(s *schema, path []string, value any, base []edit, refs []string, absent int, weight float64) {
	if value == nil {
		if value = m.all.sample(s, 0); value == nil {
			return
		}
		base = append(slices.Clone(base), edit{path: path, value: value})
		absent++
		weight *= 0.6
	}
	m.field(s, path, value, base, refs, absent, weight)
}

// inner is a sample of what is inside a list or map.
func (m *mutator) inner(s *schema) any {
	switch {
	case s.Items != nil:
		return m.all.sample(s.Items, 0)
	case s.AdditionalProperties != nil:
		return m.all.sample(s.AdditionalProperties, 0)
	}
	return nil
}

// choice is a mutation as one request.
type choice struct {
	operation string
	edits     []edit
	weight    float64
}

// id names the choice in reports and in testdata/found.txt.
func (c choice) id() string {
	var parts []string
	for i, e := range c.edits {
		// An edit that only makes the parent of the next one is not named.
		if i+1 < len(c.edits) && within(c.edits[i+1].path, e.path) {
			continue
		}
		parts = append(parts, e.String())
	}
	return c.operation + " " + strings.Join(parts, " & ")
}

func within(path, parent []string) bool {
	return len(path) >= len(parent) && slices.Equal(path[:len(parent)], parent)
}

// operations and how often they are chosen.
var operations = []struct {
	name   string
	weight float64
}{{"create", 0.55}, {"update", 0.25}, {"merge", 0.06}, {"apply", 0.06}, {"strict", 0.03}, {"status", 0.4}}

// choose takes n of the mutations by seed, and a tenth more of pairs. A mutation is chosen independently of the others:
// a larger n only adds, and a change of the schema leaves the other choices as they are.
func choose(all []mutation, k *kind, seed int64, n int, found []string) []choice {
	var ranked []choice
	for _, m := range all {
		for _, op := range operations {
			if op.name == "status" != (m.edits[0].path[0] == "status") || op.name == "status" && !slices.Contains(k.subresources, "status") {
				continue
			}
			if op.name != "create" && op.name != "strict" && !slices.Contains(k.verbs, "update") {
				continue
			}
			ranked = append(ranked, choice{op.name, m.edits, m.weight * op.weight})
		}
	}
	// Exponential ranks: the n smallest are a sample in which each has its weight's chance.
	salt := strconv.FormatInt(seed, 10) + k.String()
	ranks := make(map[string]float64, len(ranked))
	ids := make([]string, len(ranked))
	for i, c := range ranked {
		ids[i] = c.id()
		ranks[ids[i]] = -math.Log(unit(salt+ids[i])) / c.weight
	}
	order := make([]int, len(ranked))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if ranks[ids[a]] < ranks[ids[b]] {
			return -1
		}
		return 1
	})
	var out []choice
	for at, i := range order {
		if at < n || slices.Contains(found, ids[i]) {
			out = append(out, ranked[i])
		}
	}
	return append(out, pairs(out, n/10)...)
}

// pairs joins mutations that are created, to see the order of errors.
func pairs(of []choice, n int) []choice {
	var creates, out []choice
	for _, c := range of {
		if c.operation == "create" {
			creates = append(creates, c)
		}
	}
	for i := 0; i+1 < len(creates) && len(out) < n; i += 2 {
		out = append(out, choice{"create", append(slices.Clone(creates[i].edits), creates[i+1].edits...), 1})
	}
	return out
}

// unit is a number in (0, 1) that depends on the text only.
func unit(text string) float64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	// splitmix64: neighbouring texts get independent numbers
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	h ^= h >> 31
	return (float64(h>>11) + 0.5) / (1 << 53)
}

func count(list []string, s string) int {
	n := 0
	for _, v := range list {
		if s != "" && v == s {
			n++
		}
	}
	return n
}

func first(v any) any {
	if list, ok := v.([]any); ok && len(list) > 0 {
		return list[0]
	}
	return nil
}
