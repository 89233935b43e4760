// Conformance runs Kubernetes' conformance tests, unmodified, against a cluster of Gantry on this machine: two nodes, each with a Docker
// Engine and a network namespace of its own.
//
// It builds the upstream suite (e2e.test) and the programs of its test images from their Go modules, makes images under
// the names that the suite asks for, starts the cluster, runs the tests that may run in parallel and then those that may
// not, and writes RESULTS.md: every test of test/conformance/testdata/conformance.yaml is passed, failed or not run.
// With -focus or -skip the results are printed only.
//
// It needs root and the programs of a Docker Engine; it uses neither the machine's own engine nor its network.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// run is one run of the suite.
type run struct {
	focus, skip string // regular expressions over the tests' names
	procs       int    // of the parallel part
	serial      bool   // run the serial part too
	keep        bool   // leave the cluster running until ^C
	repo        string // top of the repository
	bin         string // built programs, kept between runs
	work        string // logs and reports of this run
	suite       string // folder of the module k8s.io/kubernetes
}

func main() {
	var r run
	flag.StringVar(&r.focus, "focus", "", "run only tests whose names match this regular expression")
	flag.StringVar(&r.skip, "skip", "", "run no test whose name matches this regular expression")
	flag.IntVar(&r.procs, "procs", 6, "how many tests run side by side")
	flag.BoolVar(&r.serial, "serial", true, "run the serial tests too")
	flag.BoolVar(&r.keep, "keep", false, "leave the cluster running until ^C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := r.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func (r *run) run(ctx context.Context) error {
	var err error
	if r.repo, err = filepath.Abs("../.."); err != nil {
		return err
	}
	r.bin = filepath.Join(r.repo, "bin", "conformance")
	r.work = filepath.Join(r.bin, "last")
	if err := os.RemoveAll(r.work); err != nil {
		return err
	}
	if err := os.MkdirAll(r.work, 0o755); err != nil {
		return err
	}
	if err := r.build(ctx); err != nil {
		return err
	}
	tests, err := readTests(filepath.Join(r.suite, "test/conformance/testdata/conformance.yaml"))
	if err != nil {
		return err
	}
	cluster, err := r.startCluster(ctx)
	if err != nil {
		return err
	}
	defer cluster.stop()
	results, err := r.runTests(ctx, cluster, tests)
	if err != nil {
		return err
	}
	if r.keep {
		say("the cluster runs until ^C: nsenter --net=%s kubectl --kubeconfig %s get nodes", cluster.nodes[0].namespace(), cluster.kubeconfig())
		<-ctx.Done()
	}
	if r.focus != "" || r.skip != "" || !r.serial {
		return results.print(os.Stdout)
	}
	return results.write("RESULTS.md", r.version(ctx))
}
