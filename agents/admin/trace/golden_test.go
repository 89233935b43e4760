package trace

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"gantry/agents/admin/snapshot"
	"gantry/agents/admin/snapshot/snapshottest"
	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema/kinds"
)

var update = flag.Bool("update", false, "rewrite the wanted part of testdata")

// now is the time of every case.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// TestTrace runs testdata/*.txtar: a comment whose first line is "NAMESPACE ARGUMENT", what the machine has (fakeMachine), the objects as YAML
// behind those of testdata/common.yaml, which they replace, and what is printed. The first object is of revision 101, the next of 102, and so on.
func TestTrace(t *testing.T) {
	common, err := os.ReadFile("testdata/common.yaml")
	if err != nil {
		t.Fatal(err)
	}
	snapshottest.Goldens(t, *update, func(t *testing.T, input string) string {
		comment, rest, _ := strings.Cut(input, "-- machine --\n")
		machine, objects, _ := strings.Cut(rest, "-- objects --\n")
		return traced(t, comment, machine, string(common)+"---\n"+objects)
	})
}

func traced(t *testing.T, comment, machine, objects string) string {
	t.Helper()
	line, _, _ := strings.Cut(comment, "\n")
	namespace, arg, _ := strings.Cut(line, " ")
	m := &fakeMachine{Node: "n1"}
	if err := yaml.UnmarshalStrict([]byte(machine), m); err != nil {
		t.Fatal(err)
	}
	q, err := Parse(arg)
	if err != nil {
		return err.Error() + "\n"
	}
	values := map[string]*store.KV{}
	for _, kv := range snapshottest.Values(t, objects) {
		values[kv.Key] = kv
	}
	s := snapshot.New(kinds.BuiltIn(), 200, slices.Collect(maps.Values(values)))
	r := Trace(t.Context(), s, nil, m, Options{Namespace: namespace, Domain: "cluster.local", Now: now}, q)
	if _, err := r.JSON(); err != nil {
		t.Error(err)
	}
	text := r.Text()
	if !r.Lines[0].Wanted {
		text = "(not as wanted)\n" + text
	}
	return text
}

// fakeMachine has what a case says; what it does not say is absent.
type fakeMachine struct {
	Node     string   `json:"node"`
	Own      []string `json:"addresses"`
	Search   []string `json:"searches"`
	NoDNS    bool     `json:"noDNS"`
	NoTable  bool     `json:"noTable"`
	NoEngine bool     `json:"noEngine"`
	// Names are answers by name: "A 10.96.0.7, A 10.96.0.8", a code, or records behind "CODE NXDOMAIN". Others do not exist.
	Names map[string]string `json:"names"`
	// Routes are by "10.96.0.7:80/tcp".
	Routes map[string]struct {
		Chain, Unserved string
		Slots           []string
		ClusterIP       bool
		Sources         []string
	} `json:"routes"`
	// Connections are "client endpoint [state]".
	Connections map[string][]string `json:"connections"`
	Containers  map[string]struct {
		Status, Error     string
		PID, ExitCode     int
		Started, Finished time.Time
	} `json:"containers"`
	// Sockets are by process and protocol: "7/tcp".
	Sockets map[string][]string `json:"sockets"`
}

func (m *fakeMachine) NodeName() string   { return m.Node }
func (m *fakeMachine) Searches() []string { return m.Search }

func (m *fakeMachine) Addresses() (all []netip.Addr) {
	for _, a := range m.Own {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func (m *fakeMachine) Ask(_ context.Context, server netip.Addr, name, recordType string) (*Answer, error) {
	if m.NoDNS {
		return nil, fmt.Errorf("asking %s: connection refused", server)
	}
	text, ok := m.Names[name]
	switch {
	case !ok:
		return &Answer{Code: "NXDOMAIN"}, nil
	case text == strings.ToUpper(text) && !strings.Contains(text, " "):
		return &Answer{Code: text}, nil
	}
	a := &Answer{Code: "NOERROR"}
	for r := range strings.SplitSeq(text, ", ") {
		kind, data, _ := strings.Cut(r, " ")
		if kind == "CODE" {
			a.Code = data
			continue
		}
		if (kind == "AAAA") == (recordType == "AAAA") {
			a.Records = append(a.Records, Record{name, kind, data})
		}
	}
	return a, nil
}

func (m *fakeMachine) Route(to netip.AddrPort, protocol string) (*Route, error) {
	if m.NoTable {
		return nil, ErrAbsent
	}
	have := m.Routes[to.String()+"/"+protocol]
	r := &Route{Chain: have.Chain, Unserved: have.Unserved, ClusterIP: have.ClusterIP}
	for _, text := range have.Sources {
		first, last, _ := strings.Cut(text, "-")
		r.Restricted = true
		r.Sources = append(r.Sources, [2]netip.Addr{netip.MustParseAddr(first), netip.MustParseAddr(last)})
	}
	for _, a := range have.Slots {
		slot, _ := netip.ParseAddrPort(a)
		r.Slots = append(r.Slots, slot)
	}
	return r, nil
}

func (m *fakeMachine) Flows(to netip.AddrPort, protocol string) (all []Flow, err error) {
	for _, text := range m.Connections[to.String()+"/"+protocol] {
		f := append(strings.Fields(text), "")
		all = append(all, Flow{netip.MustParseAddrPort(f[0]), netip.MustParseAddrPort(f[1]), f[2]})
	}
	return all, nil
}

func (m *fakeMachine) Container(_ context.Context, id string) (*Container, error) {
	if m.NoEngine {
		return nil, errors.New("the docker engine does not answer")
	}
	c, ok := m.Containers[id]
	if !ok {
		return nil, ErrAbsent
	}
	return &Container{Status: c.Status, PID: c.PID, Started: c.Started, Finished: c.Finished, ExitCode: c.ExitCode, Error: c.Error}, nil
}

func (m *fakeMachine) Listeners(pid int, protocol string) (all []netip.AddrPort, err error) {
	texts, ok := m.Sockets[fmt.Sprintf("%d/%s", pid, protocol)]
	if !ok {
		return nil, ErrAbsent
	}
	for _, a := range texts {
		all = append(all, netip.MustParseAddrPort(a))
	}
	return all, nil
}

// TestHostileValues traces objects whose values anyone may have written: nothing panics.
func TestHostileValues(t *testing.T) {
	bodies := []string{
		`{}`, `[]`, `{"spec":null,"status":null}`,
		`{"spec":{"clusterIP":"x","clusterIPs":["::1","10.96.0.7","None"],"type":"LoadBalancer","externalIPs":["?"],"ports":[{"port":-1},{"port":80,"protocol":"X"},{"port":80,"nodePort":80}]},
		  "status":{"loadBalancer":{"ingress":[{},{"ip":"10.96.0.7"}]},"addresses":[{"type":"InternalIP","address":"10.96.0.7"}],
		  "podIP":"10.96.0.7","containerStatuses":[{},{"containerID":"x"},{"containerID":"docker://"},{"containerID":"docker://y","state":{"running":{}}}]}}`,
		`{"addressType":"IPv4","ports":[{},{"port":80}],"endpoints":[{},{"addresses":["x"]},{"addresses":["10.96.0.7"],"targetRef":{"kind":"Pod","name":"x"}}]}`,
		`{"spec":{"clusterIP":"None","type":"ExternalName","externalName":"."}}`,
	}
	set := kinds.BuiltIn()
	for _, body := range bodies {
		var all []*store.KV
		for _, k := range set.All {
			namespace, meta := "", `"name":"x"`
			if k.Namespaced {
				namespace, meta = "x", `"name":"x","namespace":"x","labels":{"kubernetes.io/service-name":"x"}`
			}
			value := strings.Replace(body, "{", `{"apiVersion":"`+k.APIVersion()+`","kind":"`+k.Kind+`","metadata":{`+meta+`},`, 1)
			all = append(all, &store.KV{Key: registry.Key(k, namespace, "x"), Value: []byte(strings.Replace(value, ",}", "}", 1)), ModRevision: 7})
		}
		for _, arg := range []string{"x", "x.x", "_._.x", "10-96-0-7.x.pod", "10.96.0.7:80", "10.96.0.7:53/udp", "[::1]:80", "127.0.0.1:1", "."} {
			q, err := Parse(arg)
			if err != nil {
				continue
			}
			for _, node := range []string{"x", "y"} {
				r := Trace(t.Context(), snapshot.New(set, 9, all), nil, &fakeMachine{Node: node}, Options{Namespace: "x", Domain: "cluster.local", Now: now}, q)
				if r.Text() == "" {
					t.Errorf("%s: no text", arg)
				}
			}
		}
	}
}
