package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// upstreamVersion is what `git describe` says in upstream's builds.
const upstreamVersion = "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3" +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"

// build makes the binaries that are missing: kube-apiserver once (about 6 minutes on two cores), the gateway every time.
func build(ctx context.Context, o *options, dir string) error {
	if _, err := os.Stat(o.apiserver); err != nil {
		fmt.Fprintln(os.Stderr, "building kube-apiserver")
		if err := goBuild(ctx, ".", "-mod=mod -trimpath", upstreamVersion, o.apiserver, "k8s.io/kubernetes/cmd/kube-apiserver"); err != nil {
			return err
		}
	}
	if o.gantry == "" {
		o.gantry = filepath.Join(dir, "gantry")
		return goBuild(ctx, o.repo, "", "", o.gantry, "./agents")
	}
	return nil
}

func goBuild(ctx context.Context, dir, flags, ldflags, out, pkg string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "go", "build", "-ldflags", ldflags, "-o", out, pkg)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+flags)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("building %s: %w", pkg, err)
	}
	return nil
}
