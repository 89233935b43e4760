// Oracle sends the same requests to Gantry's gateway and to the real kube-apiserver, both on one etcd, and prints where
// their answers differ. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// options of one run; the flags' defaults are in main.
type options struct {
	kind      string // plural, kind or group/plural; comma separated; "": all
	seed      int64
	generated int    // generated requests per kind
	workers   int    // kinds at once
	repo      string // whose gateway is compared
	gantry    string // its binary; "": built from repo
	apiserver string // the real kube-apiserver's binary; built when missing
	keep      bool   // add the generated requests that differ to testdata/found.txt
	self      bool   // compare two kube-apiservers: what differs is noise of the oracle
	verbose   bool   // print every difference, not one line per cause
}

func main() {
	var o options
	flag.StringVar(&o.kind, "kind", "", "compare only these kinds, comma separated: pods, Deployment, apps/deployments; discovery, openapi")
	flag.Int64Var(&o.seed, "seed", 1, "which of the generated requests are sent")
	flag.IntVar(&o.generated, "generated", 400, "how many generated requests are sent per kind")
	flag.IntVar(&o.workers, "workers", 8, "how many kinds are compared at once")
	flag.StringVar(&o.repo, "repo", "../..", "the worktree whose gateway is compared")
	flag.StringVar(&o.gantry, "gantry", "", "its binary (default: built from -repo)")
	flag.StringVar(&o.apiserver, "kube-apiserver", "../../bin/oracle/kube-apiserver", "the real one; built when missing")
	flag.BoolVar(&o.keep, "keep", false, "add the generated requests that differ to testdata/found.txt, which is always sent")
	flag.BoolVar(&o.self, "self", false, "compare kube-apiserver with a second one: whatever differs is noise")
	flag.BoolVar(&o.verbose, "v", false, "print every difference")
	flag.Parse()
	signal.Ignore(syscall.SIGPIPE) // `| head` ends the report, not the cleaning up
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	accepted, err := readAccepted("README.md")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(ctx, &o, dir); err != nil {
		return err
	}
	plane, err := startGateway(o.gantry, filepath.Join(dir, "plane"))
	if err != nil {
		return err
	}
	defer plane.process.end()
	upstream, err := startUpstream(o.apiserver, filepath.Join(dir, "upstream"), "/upstream", plane)
	if err != nil {
		return err
	}
	defer upstream.process.end()
	s := &session{options: o, upstream: upstream.server, gantry: plane.server}
	if o.self {
		second, err := startUpstream(o.apiserver, filepath.Join(dir, "second"), "/second", plane)
		if err != nil {
			return err
		}
		defer second.process.end()
		s.gantry = second.server
		accepted = nil
	}
	webhook := httptest.NewTLSServer(http.HandlerFunc(convert))
	defer webhook.Close()
	if err := s.installCustomKinds(ctx, webhook); err != nil {
		return err
	}
	results, err := s.run(ctx)
	if err != nil {
		return err
	}
	if o.keep {
		if err := keepFound("testdata/found.txt", results, accepted); err != nil {
			return err
		}
	}
	return report(os.Stdout, results, accepted, o)
}
