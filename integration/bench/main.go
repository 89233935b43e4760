// Bench starts a control plane (gateway, controllers and embedded etcd in one child process) and measures it beside raw
// floors in the same run: what etcd, TLS and HTTP cost by themselves for the same bytes. See README.md.
//
// The first measure is the CPU time (user and system) of the whole child process divided by the operations: it hardly
// depends on what else the machine does, while rates do.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"time"
)

type options struct {
	gantry  string        // path of the binary
	pods    int           // in the lists
	clients int           // at once
	conns   int           // HTTP/2 connections that they share
	rounds  int           // of all rows, interleaved
	length  time.Duration // of one measurement
	profile string        // directory for CPU profiles of the control plane, one a row; "": none
	keep    bool          // the data directory
}

func main() {
	log.SetFlags(0)
	var o options
	flag.StringVar(&o.gantry, "gantry", "bin/gantry", "the binary to measure")
	flag.IntVar(&o.pods, "pods", 5000, "pods in the lists")
	flag.IntVar(&o.clients, "clients", 16, "clients at once")
	flag.IntVar(&o.conns, "conns", 4, "HTTP/2 connections that the clients share")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of all rows")
	flag.DurationVar(&o.length, "time", 2*time.Second, "length of one measurement")
	flag.StringVar(&o.profile, "profile", "", "directory for a CPU profile of every row")
	flag.BoolVar(&o.keep, "keep", false, "keep the data directory")
	floorDir := flag.String("floor", "", "be the child that serves raw floors with the certificates of this data directory")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags] [row...]\n\nrows:")
		for _, r := range rows {
			fmt.Fprintf(flag.CommandLine.Output(), "  %-20s %s\n", r.name, r.doc)
		}
		fmt.Fprintln(flag.CommandLine.Output(), "\nflags:")
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	if *floorDir != "" {
		err = serveFloor(*floorDir)
	} else {
		err = run(o, flag.Args())
	}
	if err != nil {
		log.Fatalln("error:", err)
	}
}

// pick is the rows named, by a pattern or the word before a hyphen; where none is, all that need not be named.
func pick(names []string) ([]*row, error) {
	var out []*row
	for _, r := range rows {
		if len(names) == 0 && !r.node && !r.named {
			out = append(out, r)
		}
	}
	for _, name := range names {
		named := rowsNamed(name)
		if len(named) == 0 {
			named = rowsNamed(name + "-*")
		}
		if len(named) == 0 {
			return nil, fmt.Errorf("no row is named %q (bench -h lists them)", name)
		}
		out = append(out, named...)
	}
	return out, nil
}

func rowsNamed(pattern string) (out []*row) {
	for _, r := range rows {
		if ok, _ := filepath.Match(pattern, r.name); ok {
			out = append(out, r)
		}
	}
	return out
}

func run(o options, names []string) (err error) {
	picked, err := pick(names)
	if err != nil {
		return err
	}
	if done, err := isolate(picked); done || err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	if o.keep {
		log.Println("data in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	b := &bench{options: o, dir: dir}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.open(); err != nil {
		return err
	}
	var interleaved, once []*row
	for _, r := range picked {
		if r.once {
			once = append(once, r)
		} else {
			interleaved = append(interleaved, r)
		}
	}
	results := map[*row]*series{}
	for round := range o.rounds {
		for _, r := range interleaved {
			if err := b.measure(r, round, results); err != nil {
				return fmt.Errorf("row %s: %w", r.name, err)
			}
		}
	}
	for _, r := range once {
		if err := b.measure(r, 0, results); err != nil {
			return fmt.Errorf("row %s: %w", r.name, err)
		}
	}
	slices.SortStableFunc(picked, func(a, c *row) int { return slices.Index(rows, a) - slices.Index(rows, c) })
	b.print(os.Stdout, picked, results)
	return nil
}
