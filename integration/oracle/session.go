package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// session compares two servers.
type session struct {
	options
	upstream, gantry *server
}

// result is a request that was sent to both, and how the answers differ.
type result struct {
	kind        *kind // nil for what is no kind's
	id          string
	generated   bool
	request     string // METHOD path
	differences []difference
	code        int // upstream's
	took        time.Duration
}

// run sends the corpus of every kind that is asked for.
func (s *session) run(ctx context.Context) ([]result, error) {
	kinds, err := readKinds(ctx, s.upstream, s.gantry)
	if err != nil {
		return nil, err
	}
	found, err := readFound("testdata/found.txt")
	if err != nil {
		return nil, err
	}
	if err := s.makeNamespaces(ctx); err != nil {
		return nil, err
	}
	var jobs []func() ([]result, error)
	for _, versions := range byCollection(slices.DeleteFunc(slices.Clone(kinds), func(k *kind) bool { return !k.matches(s.kind) })) {
		jobs = append(jobs, func() (all []result, err error) {
			for _, k := range versions {
				out, err := s.runKind(ctx, k, found[k.String()])
				if err != nil && ctx.Err() == nil {
					// The other kinds are still worth their report.
					out = append(out, result{kind: k, id: "run", differences: []difference{{path: "oracle", upstream: err.Error(), gantry: err.Error()}}})
				}
				all = append(all, out...)
			}
			return all, ctx.Err()
		})
	}
	if (&kind{plural: "discovery"}).matches(s.kind) {
		jobs = append(jobs, func() ([]result, error) { return s.runDiscovery(ctx, kinds) })
	}
	if (&kind{plural: "openapi"}).matches(s.kind) {
		jobs = append(jobs, func() ([]result, error) { return s.runOpenAPI(ctx, kinds) })
	}
	return inParallel(s.workers, jobs)
}

// byCollection are the kinds, those together that are versions of one: they show the same objects.
func byCollection(kinds []*kind) [][]*kind {
	var out [][]*kind
	at := map[string]int{}
	for _, k := range kinds {
		name := k.group + "/" + k.plural
		if i, ok := at[name]; ok {
			out[i] = append(out[i], k)
			continue
		}
		at[name] = len(out)
		out = append(out, []*kind{k})
	}
	return out
}

// inParallel runs the jobs and returns their results in the jobs' order, and the first error.
func inParallel(workers int, jobs []func() ([]result, error)) ([]result, error) {
	results, errs := make([][]result, len(jobs)), make([]error, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				results[i], errs[i] = jobs[i]()
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	var out []result
	for i, r := range results {
		if errs[i] != nil {
			return nil, errs[i]
		}
		out = append(out, r...)
	}
	return out, nil
}

// runKind compares one kind: generated creations, generated changes of an object that is there, then the requests of
// testdata/requests in their order.
func (s *session) runKind(ctx context.Context, k *kind, found []string) ([]result, error) {
	if !k.onGantry || !k.onUpstream {
		return []result{{kind: k, id: "served", request: "discovery", differences: []difference{notServed(k)}}}, nil
	}
	if k.example == nil {
		return []result{{kind: k, id: "example", request: "none", differences: []difference{{path: "corpus", upstream: "no example in testdata/examples", gantry: "no example"}}}}, nil
	}
	if err := s.prepare(ctx, k); err != nil {
		return nil, err
	}
	p := &pair{session: s, kind: k}
	out, err := s.runGenerated(ctx, p, found)
	if err != nil {
		return out, fmt.Errorf("%s: %w", k, err)
	}
	for _, file := range []string{"all", strings.ReplaceAll(k.String(), "/", "_")} {
		cases, err := readCases(filepath.Join("testdata", "requests", file+".txt"))
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			r, err := p.send(ctx, c)
			if err != nil {
				return out, fmt.Errorf("%s: %s: %w", k, c.id, err)
			}
			out = append(out, r...)
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %d requests\n", k, len(out))
	return out, nil
}

// makeNamespaces makes on both sides what kube-apiserver makes by itself.
func (s *session) makeNamespaces(ctx context.Context) error {
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		if err := s.createOnBoth(ctx, "/api/v1/namespaces", name); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the kind's namespace with its default service account on both sides.
func (s *session) prepare(ctx context.Context, k *kind) error {
	if !k.namespaced {
		return nil
	}
	if err := s.createOnBoth(ctx, "/api/v1/namespaces", k.namespace()); err != nil {
		return err
	}
	return s.createOnBoth(ctx, "/api/v1/namespaces/"+k.namespace()+"/serviceaccounts", "default")
}

func (s *session) createOnBoth(ctx context.Context, path, name string) error {
	for _, side := range []*server{s.upstream, s.gantry} {
		body := []byte(`{"metadata":{"name":"` + name + `"}}`)
		res, err := side.do(ctx, request{method: "POST", path: path, header: jsonHeader(), body: body})
		if err != nil {
			return err
		}
		if res.code != http.StatusCreated && res.code != http.StatusConflict {
			return fmt.Errorf("%s: POST %s: %d %s", side.name, path, res.code, res.body)
		}
	}
	return nil
}

func (s *session) runGenerated(ctx context.Context, p *pair, found []string) ([]result, error) {
	if s.generated == 0 {
		return nil, nil
	}
	all, err := readSchemas(ctx, s.upstream, p.kind)
	if err != nil {
		return nil, err
	}
	root := all.of(p.kind)
	if root == nil {
		return nil, nil
	}
	chosen := choose(mutate(all, root, p.kind.example), p.kind, s.seed, s.generated, found)
	var out []result
	run := func(creates bool) error {
		for _, c := range chosen {
			if (c.operation == "create" || c.operation == "strict") != creates {
				continue
			}
			r, err := p.send(ctx, generatedCase(c))
			if err != nil {
				return fmt.Errorf("%s: %w", c.id(), err)
			}
			for i := range r {
				r[i].generated = true
			}
			out = append(out, r...)
		}
		return nil
	}
	if err := run(true); err != nil {
		return nil, err
	}
	made, err := p.send(ctx, testCase{id: "make the object to change", method: "POST", path: "{all}", header: jsonHeader(), body: body{base: "example"}})
	if err != nil {
		return nil, err
	}
	if slices.Contains(p.kind.verbs, "update") && made[0].code != http.StatusCreated {
		fmt.Fprintf(os.Stderr, "%s: kube-apiserver refuses the example with %d: see POST %s\n", p.kind, made[0].code, p.kind.all())
	}
	p.pinned = true
	if err := run(false); err != nil {
		return nil, err
	}
	p.pinned = false
	return append(out, made...), p.remove(ctx)
}
