package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// rules say what packages under a prefix may not import, and why. Packages for tests may import what tests may.
var rules = []struct{ in, not, except, why string }{
	{"gantry/schema", "gantry/registry", "", "schema defines objects; it does no I/O and imports no layer above it"},
	{"gantry/schema", "gantry/agents", "", "imports go one way: agents -> registry -> schema"},
	{"gantry/schema", "go.etcd.io/", "", "schema does not depend on etcd"},
	{"gantry/schema", "net/http", "", "schema does no I/O"},
	{"gantry/schema", "k8s.io/client-go", "k8s.io/client-go/util", "client-go is for tests and leaf packages"},
	{"gantry/registry", "gantry/agents", "", "imports go one way: agents -> registry -> schema"},
	{"gantry/registry", "net/http", "", "registry is a library over etcd; HTTP is the gateway's"},
	{"gantry/registry", "github.com/docker/", "", "registry works on etcd only"},
	{"gantry/agents", "k8s.io/kubernetes", "", "Gantry is its own implementation"},
	{"gantry/agents", "k8s.io/client-go", "k8s.io/client-go/util", "client-go is for tests and leaf packages"},
	{"gantry/agents/gateway", "go.etcd.io/", "", "agents reach etcd only by the registry"},
	{"gantry/agents/scheduler", "go.etcd.io/", "", "agents reach etcd only by the registry"},
	{"gantry/agents/controllers", "go.etcd.io/", "", "agents reach etcd only by the registry"},
	{"gantry/agents/kubelet", "go.etcd.io/", "", "agents reach etcd only by the registry"},
	{"gantry/agents/kubelet/podstate", "gantry/registry", "", "what is known of a pod is pure"},
	{"gantry/agents/kubelet/podstatus", "gantry/registry", "", "a status is made of what is known: pure"},
	{"gantry/agents/kubelet/podstatus", "os", "", "a status is made of what is known: pure"},
	{"gantry/agents/scheduler/plugins", "net", "", "plug-ins run on the scheduling loop and must not block"},
	{"gantry/agents/proxy", "go.etcd.io/", "", "agents reach etcd only by the registry"},
	{"gantry/agents/network", "go.etcd.io/", "", "agents reach etcd only by the registry"},
	{"gantry/agents/dns", "go.etcd.io/", "", "agents reach etcd only by the registry"},
	{"gantry/agents/dns/wire", "gantry/", "", "queries and answers are bytes: pure"},
	{"gantry/agents/dns/records", "gantry/registry", "", "records are made of objects: pure"},
}

// exclusive are imports that only some packages under a prefix may have, and why.
var exclusive = []struct{ in, imported, may, why string }{
	{"gantry/agents", "github.com/miekg/dns", "gantry/agents/dns", "DNS is answered in one place"},
	{"gantry/agents", "github.com/docker/", "gantry/agents/kubelet/engine", "only engine calls Docker, behind engine.Engine"},
	{"gantry/agents", "github.com/distribution/", "gantry/agents/kubelet/engine", "only engine calls Docker, behind engine.Engine"},
	{"gantry/agents", "github.com/containerd/", "gantry/agents/kubelet/engine", "errors of Docker are classified in engine"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for _, r := range rules {
				if within(p.ImportPath, r.in) && (!forTests(p.ImportPath) || strings.HasPrefix(r.not, "gantry/")) && strings.HasPrefix(imported, r.not) && (r.except == "" || !strings.HasPrefix(imported, r.except)) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, r.why)
				}
			}
			for _, r := range exclusive {
				if within(p.ImportPath, r.in) && strings.HasPrefix(imported, r.imported) && !within(p.ImportPath, r.may) {
					t.Errorf("%s imports %s, which only %s may: %s", p.ImportPath, imported, r.may, r.why)
				}
			}
			if from, to := agentOf(p.ImportPath), agentOf(imported); from != "" && to != "" && from != to && from != "up" && !pureForAdmin(p.ImportPath, imported) {
				t.Errorf("%s imports %s: no agent imports another, etcd is the bus between them", p.ImportPath, imported)
			}
		}
	}
}

func TestTopLevelFoldersAreTheArchitecture(t *testing.T) {
	allowed := map[string]bool{"agents": true, "registry": true, "schema": true, "scripts": true, "integration": true}
	for _, p := range packages(t) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(p.ImportPath, "gantry/"), "/")
		if !allowed[folder] {
			t.Errorf("%s is outside the five folders of the architecture", p.ImportPath)
		}
	}
}

// agentOf returns the agent that a package belongs to; "": none.
func agentOf(path string) string {
	rest, ok := strings.CutPrefix(path, "gantry/agents/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || name == "internal" {
		return ""
	}
	return name
}

// pureForAdmin tells whether admin may import a package of another agent: `gantry why` explains by the scheduler's own filters and scores,
// which are pure. Another copy of them would give other answers.
func pureForAdmin(path, imported string) bool {
	return within(path, "gantry/agents/admin") && (imported == "gantry/agents/scheduler/framework" || imported == "gantry/agents/scheduler/plugins")
}

// forTests tells whether only tests import a package: those are named so, registrytest for one.
func forTests(path string) bool { return strings.HasSuffix(path, "test") }

// TestPackagesForTestsAreNotBuilt checks that forTests is right.
func TestPackagesForTestsAreNotBuilt(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "gantry/") && forTests(imported) && !forTests(p.ImportPath) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, imported)
			}
		}
	}
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
