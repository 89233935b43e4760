package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

// sample is a kind whose objects are written and read: ConfigMaps, and a custom kind whose objects have as many bytes.
type sample struct {
	group, plural string // "/api/v1", "configmaps"
	prepare       func(*bench) error
	body          func(name string) []byte
	patch         string // a merge patch of the object; %d is a number
	apply         string // a configuration with a label and a value, %q the name and %d a number
	seeded        bool
}

// listed is how many objects of a sample there are to get, list, patch and apply.
const listed = 500

var configMaps = &sample{
	group: "/api/v1", plural: "configmaps",
	body: func(name string) []byte {
		return fmt.Appendf(nil, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"labels":{"app":"bench","tier":"plain"}},"data":{%s}}`,
			name, strings.Join(smallData(), ","))
	},
	patch: `{"data":{"turn":"%d"}}`,
	apply: `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q,"labels":{"bench/applied":"true"}},"data":{"turn":"%d"}}`,
}

// smallData is what makes a ConfigMap as large as a widget.
func smallData() (members []string) {
	for i := range 12 {
		members = append(members, fmt.Sprintf(`"file-%02d.conf":%q`, i, "key = value of line "+strings.Repeat("x", 45)))
	}
	return members
}

var widgets = &sample{
	group: "/apis/bench.example.com/v1", plural: "widgets",
	prepare: defineWidgets,
	body: func(name string) []byte {
		var ports, rules []string
		for i := range 4 {
			ports = append(ports, fmt.Sprintf(`{"name":"port-%d","port":%d,"protocol":"TCP"}`, i, 8000+i))
			rules = append(rules, fmt.Sprintf(`{"host":"host-%d.example.com","paths":["/one","/two/%d"],"weight":%d}`, i, i, i))
		}
		return fmt.Appendf(nil, `{"kind":"Widget","apiVersion":"bench.example.com/v1","metadata":{"name":%q,"labels":{"app":"bench","tier":"plain"}},`+
			`"spec":{"replicas":3,"minReplicas":1,"maxReplicas":10,"image":"registry.example.com/team/widget:1.2.3","paused":false,"ports":[%s],"rules":[%s],`+
			`"env":{"MODE":"production","LEVEL":"info","REGION":"eu-central-1"},"template":{"labels":{"app":"bench","part":"of"},"resources":{"cpu":"100m","memory":"64Mi"}}}}`,
			name, strings.Join(ports, ","), strings.Join(rules, ","))
	},
	patch: `{"spec":{"turn":%d}}`,
	apply: `{"kind":"Widget","apiVersion":"bench.example.com/v1","metadata":{"name":%q,"labels":{"bench/applied":"true"}},"spec":{"turn":%d}}`,
}

// widgetSchema is structural, with defaults, a list that is a map, and two rules.
const widgetSchema = `{"type":"object","required":["spec"],"properties":{` +
	`"spec":{"type":"object","required":["replicas","image"],` +
	`"x-kubernetes-validations":[{"rule":"self.minReplicas <= self.maxReplicas","message":"minReplicas is above maxReplicas"},` +
	`{"rule":"self.replicas >= self.minReplicas && self.replicas <= self.maxReplicas","message":"replicas is out of bounds"}],` +
	`"properties":{"replicas":{"type":"integer","minimum":0},"minReplicas":{"type":"integer","default":0},"maxReplicas":{"type":"integer","default":10},` +
	`"image":{"type":"string","maxLength":255,"pattern":"^[a-z0-9./:_-]+$"},"paused":{"type":"boolean"},"turn":{"type":"integer"},` +
	`"strategy":{"type":"string","enum":["Recreate","Rolling"],"default":"Rolling"},` +
	`"ports":{"type":"array","maxItems":16,"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{"type":"object","required":["name","port"],` +
	`"properties":{"name":{"type":"string"},"port":{"type":"integer","minimum":1,"maximum":65535},"protocol":{"type":"string","default":"TCP"}}}},` +
	`"rules":{"type":"array","maxItems":32,"items":{"type":"object","properties":{"host":{"type":"string"},"paths":{"type":"array","items":{"type":"string"}},"weight":{"type":"integer","default":1}}}},` +
	`"env":{"type":"object","additionalProperties":{"type":"string"}},` +
	`"template":{"type":"object","properties":{"labels":{"type":"object","additionalProperties":{"type":"string"}},` +
	`"resources":{"type":"object","properties":{"cpu":{"type":"string"},"memory":{"type":"string"}}}}}}},` +
	`"status":{"type":"object","properties":{"ready":{"type":"integer"},"phase":{"type":"string"}}}}}`

func defineWidgets(b *bench) error {
	return b.define(b.pool[0], "bench.example.com", "widget", widgetSchema)
}

const definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// definition is that of a namespaced kind with the status subresource; singular begins with its lower-case letter.
func definition(group, singular, schema string) []byte {
	kind := strings.ToUpper(singular[:1]) + singular[1:]
	return fmt.Appendf(nil, `{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"%ss.%s"},`+
		`"spec":{"group":%q,"scope":"Namespaced","names":{"plural":"%ss","singular":%q,"kind":%q,"listKind":"%sList"},`+
		`"versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},"schema":{"openAPIV3Schema":%s}}]}}`,
		singular, group, group, singular, singular, kind, kind, schema)
}

// define creates a definition and waits until its kind is served.
func (b *bench) define(c *h2, group, singular, schema string) error {
	if _, err := c.want(201, &request{method: "POST", path: definitionsPath, contentType: "application/json", body: definition(group, singular, schema)}); err != nil {
		return err
	}
	return waitServed(c, group, singular)
}

func waitServed(c *h2, group, singular string) error {
	path := "/apis/" + group + "/v1/" + singular + "s?limit=1"
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		res, err := c.do(&request{method: "GET", path: path})
		switch {
		case err != nil || res.status == 200:
			return err
		case time.Now().After(end):
			return fmt.Errorf("%s answers %d after five minutes", path, res.status)
		}
	}
}

// seed makes the objects that are read and changed, once.
func (s *sample) seed(b *bench) error {
	if s.seeded {
		return nil
	}
	for _, name := range []string{seededObjects, madeObjects, appliedObjects} {
		body := fmt.Appendf(nil, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":%q}}`, name)
		res, err := b.pool[0].do(&request{method: "POST", path: "/api/v1/namespaces", contentType: "application/json", body: body})
		if err != nil || res.status != 201 && res.status != 409 {
			return fmt.Errorf("making the namespace %s: %d %w", name, res.status, err)
		}
	}
	if s.prepare != nil {
		if err := s.prepare(b); err != nil {
			return err
		}
	}
	for i := range listed {
		for _, namespace := range []string{seededObjects, appliedObjects} {
			if _, err := b.pool[0].want(201, s.post(namespace, fmt.Sprintf("seeded-%d", i))); err != nil {
				return err
			}
		}
	}
	s.seeded = true
	return nil
}

// The namespaces of the objects that are read and patched, of those that are created, and of those that are applied, which have managed fields.
const seededObjects, madeObjects, appliedObjects = "bench-seeded", "bench-made", "bench-applied"

func (s *sample) path(namespace, name string) string {
	return s.group + "/namespaces/" + namespace + "/" + s.plural + name
}

func (s *sample) post(namespace, name string) *request {
	return &request{method: "POST", path: s.path(namespace, ""), contentType: "application/json", body: s.body(name)}
}

// sampleMade numbers the objects that are created.
var sampleMade atomic.Int64

// driven runs requests that each client makes by its turn; the requests of two clients do not meet at one object.
func (s *sample) driven(clients, status int, next func(name string, turn int) *request) func(*bench) (measurement, error) {
	return func(b *bench) (measurement, error) {
		if err := s.seed(b); err != nil {
			return measurement{}, err
		}
		n := clients
		if n == 0 {
			n = b.clients
		}
		turns := make([]int, n)
		var size atomic.Int64
		m, err := drive(b.plane, n, b.length, func(i int) error {
			turns[i]++
			name := fmt.Sprintf("seeded-%d", (turns[i]*n+i)%(listed/n*n))
			res, err := b.pool[i%len(b.pool)].want(status, next(name, turns[i]))
			size.Store(int64(res.size))
			return err
		})
		m.note = fmt.Sprintf("%d bytes", size.Load())
		return m, err
	}
}

func (s *sample) create() func(*bench) (measurement, error) {
	return s.driven(0, 201, func(string, int) *request { return s.post(madeObjects, fmt.Sprintf("made-%d", sampleMade.Add(1))) })
}

func (s *sample) get() func(*bench) (measurement, error) {
	return s.driven(0, 200, func(name string, _ int) *request {
		return &request{method: "GET", path: s.path(seededObjects, "/"+name)}
	})
}

func (s *sample) list() func(*bench) (measurement, error) {
	return s.driven(listClients, 200, func(string, int) *request {
		return &request{method: "GET", path: s.path(seededObjects, "")}
	})
}

func (s *sample) patched() func(*bench) (measurement, error) {
	return s.driven(0, 200, func(name string, _ int) *request {
		return &request{method: "PATCH", path: s.path(seededObjects, "/"+name), contentType: "application/merge-patch+json", body: fmt.Appendf(nil, s.patch, rand.Int32())}
	})
}

func (s *sample) applied() func(*bench) (measurement, error) {
	return s.driven(0, 200, func(name string, _ int) *request {
		return &request{method: "PATCH", path: s.path(appliedObjects, "/"+name) + "?fieldManager=bench&force=true", contentType: "application/apply-patch+yaml", body: fmt.Appendf(nil, s.apply, name, rand.Int32())}
	})
}
