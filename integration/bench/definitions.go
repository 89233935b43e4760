package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// plain starts a control plane of its own without pods, for run.
func plain(b *bench, name string, run func(own *bench) (measurement, error)) (m measurement, err error) {
	own := &bench{options: b.options, dir: filepath.Join(b.dir, name)}
	if err := os.MkdirAll(own.dir, 0o700); err != nil {
		return m, err
	}
	defer os.RemoveAll(own.dir)
	dir := filepath.Join(own.dir, "plane")
	if own.plane, own.api, err = own.startPlane(dir, controlPlane); err != nil {
		return m, err
	}
	defer own.plane.end()
	defer func() { own.etcd.Close() }()
	if own.tls, err = clientTLS(dir); err != nil {
		return m, err
	}
	if own.pool, err = dialAll(own.api, own.tls, own.conns); err != nil {
		return m, err
	}
	if err := own.waitForAccount(own.pool[0]); err != nil {
		return m, err
	}
	return run(own)
}

// The custom kinds of definitions-1000: ten in a group, with ten objects each.
const (
	manyKinds     = 1000
	kindsInGroup  = 10
	objectsOfKind = 10
)

// schemaOf is a structural schema of about so many bytes: sections of 40 described fields, with a rule in each of the first rules.
func schemaOf(size, rules int) string {
	var sections []string
	for n, length := 0, 0; length < size; n++ {
		var fields []string
		for i := range 40 {
			fields = append(fields, fmt.Sprintf(`"field%02d":{"type":%q,"description":"Field %d of section %d says how the %d. part of the system is configured by its operator, and what happens where it is left out."}`,
				i, []string{"string", "integer", "boolean"}[i%3], i, n, i))
		}
		rule := ""
		if n < rules {
			rule = `"x-kubernetes-validations":[{"rule":"!has(self.field01) || !has(self.field04) || self.field01 <= self.field04","message":"field01 is above field04"}],`
		}
		section := fmt.Sprintf(`"section%03d":{"type":"object",%s"properties":{%s}}`, n, rule, strings.Join(fields, ","))
		sections, length = append(sections, section), length+len(section)
	}
	return `{"type":"object","properties":{"spec":{"type":"object","properties":{` + strings.Join(sections, ",") + `}},"status":{"type":"object","properties":{"phase":{"type":"string"}}}}}`
}

func manyGroup(i int) string    { return fmt.Sprintf("group%03d.bench.example.com", i/kindsInGroup) }
func manySingular(i int) string { return fmt.Sprintf("kind%04d", i) }

// manyDefinitions installs 1,000 definitions and their objects, and measures the memory.
func manyDefinitions(b *bench) (measurement, error) {
	return plain(b, "definitions", func(own *bench) (m measurement, err error) {
		schema := schemaOf(6000, 2)
		idle := own.settledRSS()
		before, began := own.plane.cpu(), time.Now()
		var bytes int
		_, err = inTurn(own.plane, manyKinds, own.clients, func(i int) error {
			body := definition(manyGroup(i), manySingular(i), schema)
			if i == 0 {
				bytes = manyKinds * len(body)
			}
			_, err := own.pool[i%len(own.pool)].want(201, &request{method: "POST", path: definitionsPath, contentType: "application/json", body: body})
			return err
		})
		if err != nil {
			return m, err
		}
		for i := range manyKinds {
			if err := waitServed(own.pool[0], manyGroup(i), manySingular(i)); err != nil {
				return m, err
			}
		}
		installed, cpu := time.Since(began), own.plane.cpu()-before
		afterKinds := own.settledRSS()
		text := strings.Repeat("0123456789abcdef", 30)
		_, err = inTurn(own.plane, manyKinds*objectsOfKind, own.clients, func(i int) error {
			kind := i / objectsOfKind
			path := "/apis/" + manyGroup(kind) + "/v1/namespaces/default/" + manySingular(kind) + "s"
			body := fmt.Appendf(nil, `{"kind":%q,"apiVersion":"%s/v1","metadata":{"name":"object-%d"},"spec":{"section000":{"field00":%q,"field03":%q,"field01":1,"field04":2}}}`,
				strings.ToUpper(manySingular(kind)[:1])+manySingular(kind)[1:], manyGroup(kind), i%objectsOfKind, text, text)
			if kind == 0 && i == 0 {
				bytes += manyKinds * objectsOfKind * len(body)
			}
			_, err := own.pool[i%len(own.pool)].want(201, &request{method: "POST", path: path, contentType: "application/json", body: body})
			return err
		})
		if err != nil {
			return m, err
		}
		full := own.settledRSS()
		live, err := own.liveHeap()
		if err != nil {
			return m, err
		}
		return measurement{unit: "bytes/byte", value: float64(full-idle) / float64(bytes), note: fmt.Sprintf(
			"%d KB of JSON; served after %s, CPU %s; idle %d MB, with the kinds %d MB, with their objects %d MB, %s",
			bytes>>10, short(installed), short(cpu), idle>>20, afterKinds>>20, full>>20, live)}, nil
	})
}

var heapLine = regexp.MustCompile(`# (HeapAlloc|HeapInuse|Stack) = (\d+)`)

// liveHeap says what is in use after a garbage collection, as the debug page of the heap has it.
func (b *bench) liveHeap() (string, error) {
	res, err := b.pool[0].want(200, &request{method: "GET", path: "/debug/pprof/heap?gc=1&debug=1", keep: true})
	if err != nil {
		return "", err
	}
	if b.profile != "" {
		for _, name := range []string{"heap?gc=1", "goroutine", "allocs"} {
			res, err := b.pool[0].want(200, &request{method: "GET", path: "/debug/pprof/" + name, keep: true})
			if err != nil {
				return "", err
			}
			name, _, _ = strings.Cut(name, "?")
			if err := os.WriteFile(filepath.Join(b.profile, filepath.Base(b.dir)+"-"+name+".pprof"), res.body, 0o644); err != nil {
				return "", err
			}
		}
	}
	var all []string
	for _, m := range heapLine.FindAllSubmatch(bytes.ReplaceAll(res.body, []byte("\r"), nil), -1) {
		n, _ := strconv.ParseInt(string(m[2]), 10, 64)
		all = append(all, fmt.Sprintf("%s %d MB", m[1], n>>20))
	}
	return strings.Join(all, ", "), nil
}

// The definitions of definitions-large have schemas as large as the largest of the ecosystem.
const (
	largeKinds  = 10
	largeSchema = 500_000
)

// largeDefinitions installs ten large definitions, one after the other as kubectl does, and writes an object of each.
func largeDefinitions(b *bench) (measurement, error) {
	return plain(b, "large", func(own *bench) (m measurement, err error) {
		schema := schemaOf(largeSchema, 20)
		idle := own.settledRSS()
		before, began := own.plane.cpu(), time.Now()
		c := own.pool[0]
		for i := range largeKinds {
			if err := own.define(c, "large.bench.example.com", manySingular(i), schema); err != nil {
				return m, err
			}
		}
		installed := time.Since(began)
		for i := range largeKinds {
			body := fmt.Appendf(nil, `{"kind":"Kind%04d","apiVersion":"large.bench.example.com/v1","metadata":{"name":"one"},"spec":{"section000":{"field01":1,"field04":2}}}`, i)
			path := "/apis/large.bench.example.com/v1/namespaces/default/" + manySingular(i) + "s"
			if _, err := c.want(201, &request{method: "POST", path: path, contentType: "application/json", body: body}); err != nil {
				return m, err
			}
		}
		m = measurement{unit: "s", value: time.Since(began).Seconds()}
		cpu := own.plane.cpu() - before
		full := own.settledRSS()
		live, err := own.liveHeap()
		m.note = fmt.Sprintf("schemas of %d KB; served after %s, CPU with the objects %s; idle %d MB, then %d MB, %s", len(schema)>>10, short(installed), short(cpu), idle>>20, full>>20, live)
		return m, err
	})
}
