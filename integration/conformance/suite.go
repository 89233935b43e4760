package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// readTests returns the names of all conformance tests, from lines like
//
//	codename: '[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin] listing
//	  mutating webhooks should work [Conformance]'
func readTests(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var tests []string
	for _, m := range codename.FindAllStringSubmatch(string(text), -1) {
		name := strings.Join(strings.Fields(m[1]), " ")
		if strings.HasPrefix(name, "'") {
			name = strings.ReplaceAll(strings.Trim(name, "'"), "''", "'")
		}
		tests = append(tests, strings.Trim(name, `"`))
	}
	return tests, nil
}

var codename = regexp.MustCompile(`codename: (.*(?:\n    .*)*)`)

// runTests runs the tests that may run side by side, then the others.
func (r *run) runTests(ctx context.Context, c *cluster, tests []string) (*results, error) {
	res := newResults(tests)
	if err := r.part(ctx, c, res, "parallel", "Conformance && !Serial", r.procs); err != nil {
		return nil, err
	}
	if !r.serial {
		return res, nil
	}
	return res, r.part(ctx, c, res, "serial", "Conformance && Serial", 1)
}

// part runs the tests with some labels, narrowed by focus and skip. Failed tests are no error.
func (r *run) part(ctx context.Context, on *cluster, res *results, name, labels string, procs int) error {
	args := []string{
		fmt.Sprintf("--procs=%d", procs), "--timeout=12h", "--no-color", "--output-dir=" + r.work, "--junit-report=" + name + ".xml",
		"--label-filter=" + labels,
	}
	if r.focus != "" {
		args = append(args, "--focus="+r.focus)
	}
	if r.skip != "" {
		args = append(args, "--skip="+r.skip)
	}
	args = append(args, filepath.Join(r.bin, "e2e.test"), "--",
		"--kubeconfig="+on.kubeconfig(), "--provider=skeleton", "--disable-log-dump", "--dump-logs-on-failure=false")
	log, err := os.Create(filepath.Join(r.work, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	say("running the %s tests, log in %s", name, log.Name())
	c := on.nodes[0].command(ctx, filepath.Join(r.bin, "ginkgo"), args...)
	c.Stdout, c.Stderr = log, log
	runErr := c.Run() // fails when a test fails
	cases, err := readReport(filepath.Join(r.work, name+".xml"))
	if err != nil {
		return fmt.Errorf("reading the report of the %s tests (ginkgo: %v): %w", name, runErr, err)
	}
	res.add(cases)
	return ctx.Err()
}

// report is ginkgo's JUnit report, as far as it is read.
type report struct {
	Cases []testCase `xml:"testsuite>testcase"`
}

type testCase struct {
	Name    string `xml:"name,attr"`
	Status  string `xml:"status,attr"`
	Failure *struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	} `xml:"failure"`
	Skipped *struct {
		Message string `xml:"message,attr"`
	} `xml:"skipped"`
}

func readReport(file string) ([]testCase, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rep report
	if err := xml.Unmarshal(text, &rep); err != nil {
		return nil, err
	}
	return rep.Cases, nil
}
