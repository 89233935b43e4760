package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// pair sends the cases of one kind to both sides, each with its own resource versions, uids and continue tokens.
type pair struct {
	*session
	kind   *kind
	pinned bool // the live object does not change: it is read once

	live    [2]any    // of upstream and Gantry
	follows [2]string // continue tokens of the last lists
}

func (p *pair) sides() [2]*server { return [2]*server{p.upstream, p.gantry} }

// send sends a case; the answer is one result, or none for a removal.
func (p *pair) send(ctx context.Context, c testCase) ([]result, error) {
	if c.remove {
		err := p.remove(ctx)
		if c.reset && err == nil {
			_, err = p.send(ctx, testCase{method: "POST", path: "{all}", header: jsonHeader(), body: body{base: "example"}})
		}
		return nil, err
	}
	if c.await != 0 {
		return nil, p.await(ctx, c)
	}
	began := time.Now()
	sent, err := json.Marshal(c.body.values())
	if err != nil {
		return nil, err
	}
	var answers [2]answer
	var errs [2]error
	var wg sync.WaitGroup
	var shown string
	for i, side := range p.sides() {
		wg.Go(func() {
			r, err := p.fill(ctx, i, c)
			if err != nil {
				errs[i] = err
				return
			}
			if i == 0 {
				shown = r.method + " " + r.path
			}
			res, err := side.do(ctx, r)
			if err != nil {
				// A connection that breaks is an answer too.
				res = &response{header: http.Header{}, body: []byte("no answer: " + strings.ReplaceAll(err.Error(), side.base.Host, ""))}
			}
			tree := decode(res)
			p.follows[i] = lookUpString(tree, "metadata", "continue")
			answers[i] = normalise(res, tree, sent)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if p.kind.hasController() && c.method != "GET" && !strings.Contains(c.path, "dryRun") {
		if err := p.settle(ctx); err != nil {
			return nil, err
		}
	}
	return []result{{kind: p.kind, id: c.id, request: shown, differences: compare(answers[0], answers[1]), code: answers[0].code, took: time.Since(began)}}, ctx.Err()
}

// await sends a request to each side until the answer has the code.
func (p *pair) await(ctx context.Context, c testCase) error {
	for i, side := range p.sides() {
		for deadline := time.Now().Add(longestWait); ; time.Sleep(20 * time.Millisecond) {
			r, err := p.fill(ctx, i, c)
			if err != nil {
				return err
			}
			res, err := side.do(ctx, r)
			if err != nil {
				return err
			}
			if res.code == c.await {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s answers %s %s with %d %s", side.name, r.method, r.path, res.code, res.body)
			}
		}
	}
	return nil
}

// hasController tells whether controllers on both sides write the kind's status soon after it is made.
func (k *kind) hasController() bool { return k.plural == "flowschemas" || k.plural == "apiservices" }

// settle waits until controllers have written the status of the object on both sides, where it is there. It waits for a second: kube-apiserver
// writes the status of one flow schema a few times a minute only.
func (p *pair) settle(ctx context.Context) error {
	for _, side := range p.sides() {
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			res, err := side.do(ctx, request{method: "GET", path: p.one()})
			if err != nil {
				return err
			}
			if res.code != http.StatusOK || strings.Contains(string(res.body), `"lastTransitionTime"`) {
				break
			}
		}
	}
	return nil
}

// fill makes the request of a case for a side.
func (p *pair) fill(ctx context.Context, i int, c testCase) (request, error) {
	usesLive := c.body.base == "live" || strings.Contains(c.path+c.body.text, "{rv}") || strings.Contains(c.path+c.body.text, "{uid}")
	if usesLive && (!p.pinned || p.live[i] == nil) {
		res, err := p.sides()[i].do(ctx, request{method: "GET", path: p.one()})
		if err != nil {
			return request{}, err
		}
		p.live[i] = decode(res)
	}
	words := strings.NewReplacer(
		"{all}", p.kind.all(), "{one}", p.one(), "{name}", p.kind.exampleName, "{namespace}", p.kind.namespace(),
		"{everywhere}", strings.Replace(p.kind.all(), "/namespaces/"+p.kind.namespace(), "", 1),
		"{rv}", lookUpString(p.live[i], "metadata", "resourceVersion"), "{uid}", lookUpString(p.live[i], "metadata", "uid"),
		"{apiVersion}", p.kind.apiVersion(), "{kind}", p.kind.kind, "{continue}", p.follows[i])
	r := request{method: c.method, path: words.Replace(c.path), header: c.header}
	var doc any
	switch c.body.base {
	case "":
		r.body = []byte(words.Replace(c.body.text))
		return r, nil
	case "example":
		doc = p.kind.example
	case "live":
		doc = p.live[i]
	case "patch":
		edits := append([]edit{}, c.body.edits...)
		for j := range edits {
			edits[j].remove = false // a nil value removes
		}
		text, err := json.Marshal(apply(map[string]any{}, edits...))
		r.body = text
		return r, err
	}
	if r.header.Get("Content-Type") == "" {
		r.header = r.header.Clone()
		r.header.Set("Content-Type", typeJSON)
	}
	var err error
	r.body, err = encode(apply(doc, c.body.edits...), r.header.Get("Content-Type"))
	return r, err
}

func (p *pair) one() string { return p.kind.all() + "/" + p.kind.exampleName }

// remove deletes the kind's object on both sides; finalizers do not keep it.
func (p *pair) remove(ctx context.Context) error {
	p.live = [2]any{}
	for _, side := range p.sides() {
		for _, r := range []request{
			{method: "DELETE", path: p.one() + "?gracePeriodSeconds=0"},
			{method: "PATCH", path: p.one(), header: http.Header{"Content-Type": {"application/merge-patch+json"}}, body: []byte(`{"metadata":{"finalizers":null}}`)},
			{method: "PUT", path: p.one() + "/finalize", header: jsonHeader(), body: []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"` + p.kind.exampleName + `"},"spec":{}}`)},
		} {
			if strings.HasSuffix(r.path, "/finalize") && p.kind.plural != "namespaces" {
				continue
			}
			res, err := side.do(ctx, r)
			if err != nil {
				return err
			}
			if res.code == http.StatusNotFound {
				break
			}
		}
	}
	return nil
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {typeJSON}} }
