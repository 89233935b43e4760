package arch

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var updateModules = flag.Bool("update", false, "rewrite testdata/modules.txt from the imports as they are")

// modulesFile lists the modules that schema and registry are built from, and those that each agent adds to them. A new line in it is
// a new dependency: it is reviewed with the change that needs it.
const modulesFile = "testdata/modules.txt"

// TestModulesAreReviewed compares the modules behind schema, registry and every agent with the list in testdata/modules.txt.
// After a wanted change: go test ./integration/arch -run TestModulesAreReviewed -update
func TestModulesAreReviewed(t *testing.T) {
	agents, err := os.ReadDir("../../agents")
	if err != nil {
		t.Fatal(err)
	}
	known := modulesOf(t, "schema/...")
	got := section("schema", known)
	registry := modulesOf(t, "registry")
	got += section("registry adds", without(registry, known))
	maps.Copy(known, registry)
	for _, agent := range agents {
		if agent.IsDir() && agent.Name() != "internal" {
			got += section("agents/"+agent.Name()+" adds", without(modulesOf(t, "agents/"+agent.Name()+"/..."), known))
		}
	}
	if *updateModules {
		if err := os.WriteFile(modulesFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(modulesFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("the modules differ from %s (see the comment of this test)\ngot:\n%s\nwant:\n%s", modulesFile, got, want)
	}
}

// modulesOf returns the modules that a package pattern is built from, without tests, what only tests import, and gantry itself.
func modulesOf(t *testing.T, pattern string) map[string]bool {
	t.Helper()
	built := slices.DeleteFunc(goList(t, "-f", "{{.ImportPath}}", "./"+pattern), forTests)
	modules := map[string]bool{}
	for _, m := range goList(t, append([]string{"-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}, built...)...) {
		if m != "gantry" {
			modules[m] = true
		}
	}
	return modules
}

// goList returns the words that go list prints.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", args, err)
	}
	return strings.Fields(string(out))
}

func without(all, known map[string]bool) map[string]bool {
	rest := maps.Clone(all)
	maps.DeleteFunc(rest, func(m string, _ bool) bool { return known[m] })
	return rest
}

// section is a heading followed by the modules, one per line.
func section(heading string, modules map[string]bool) string {
	return heading + ":\n" + strings.Join(slices.Sorted(maps.Keys(modules)), "\n") + "\n\n"
}
