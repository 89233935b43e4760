package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// programs are built into bin/conformance once; a change of go.mod builds them anew.
var programs = []struct{ name, pkg string }{
	{"ginkgo", "github.com/onsi/ginkgo/v2/ginkgo"},
	{"agnhost", "k8s.io/kubernetes/test/images/agnhost"},
	{"nnp", "k8s.io/kubernetes/test/images/nonewprivs"},
	{"sample-apiserver", "k8s.io/sample-apiserver"},
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"e2e.test", "k8s.io/kubernetes/test/e2e"}, // a test binary; the longest, 15 to 35 minutes on two cores
}

func (r *run) build(ctx context.Context) error {
	dir, err := command(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes").Output()
	if err != nil {
		return fmt.Errorf("finding the suite's module: %w", err)
	}
	if r.suite = strings.TrimSpace(string(dir)); r.suite == "" {
		if err := loud(command(ctx, "go", "mod", "download")); err != nil {
			return fmt.Errorf("downloading the suite: %w", err)
		}
		return r.build(ctx)
	}
	for _, p := range programs {
		out := filepath.Join(r.bin, p.name)
		if newer(out, "go.mod") {
			continue
		}
		verb := []string{"build"}
		if p.name == "e2e.test" {
			verb = []string{"test", "-c"}
		}
		say("building %s", p.name)
		if err := loud(command(ctx, "go", append(verb, "-ldflags", "-s -w", "-o", out, p.pkg)...)); err != nil {
			return fmt.Errorf("building %s: %w", p.name, err)
		}
	}
	gantry := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(r.repo, "bin", "gantry"), "./agents")
	gantry.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // as scripts/lib: they share Go's build cache
	gantry.Dir = r.repo
	if err := loud(gantry); err != nil {
		return fmt.Errorf("building gantry: %w", err)
	}
	return nil
}

func (r *run) version(ctx context.Context) string {
	c := command(ctx, "git", "describe", "--tags", "--always", "--dirty")
	c.Dir = r.repo
	out, err := c.Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// newer tells whether file a is there and was written after b.
func newer(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && x.ModTime().After(y.ModTime())
}

func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
	return c
}

// loud runs c with its output on standard error.
func loud(c *exec.Cmd) error {
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	return c.Run()
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
