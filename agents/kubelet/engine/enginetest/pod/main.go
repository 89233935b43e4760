// Command pod is what the containers of tests run.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if len(os.Args) < 2 {
		os.Exit(64)
	}
	switch os.Args[1] {
	case "run": // until SIGTERM, then 0
		fmt.Println("up", strings.Join(os.Args[2:], " "))
		<-term
		fmt.Println("down")
	case "stubborn": // ignores SIGTERM
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("up")
		select {}
	case "echo": // its input
		fmt.Fprintln(os.Stderr, "echoing")
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "exit": // with a code, after a message in /dev/termination-log
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			os.Exit(64)
		}
		if len(os.Args) > 3 {
			if err := os.WriteFile("/dev/termination-log", []byte(os.Args[3]), 0o644); err != nil {
				fmt.Println(err)
				os.Exit(65)
			}
		}
		fmt.Println("exit", code)
		os.Exit(code)
	case "cat": // prints files and the environment, then runs
		for _, f := range os.Args[2:] {
			text, err := os.ReadFile(f)
			fmt.Printf("== %s %v\n%s\n", f, err, text)
		}
		fmt.Println(strings.Join(os.Environ(), "\n"))
		fmt.Println("up")
		<-term
	case "touch": // makes a file
		if err := os.WriteFile(os.Args[2], nil, 0o644); err != nil {
			fmt.Println(err)
			os.Exit(65)
		}
	case "later": // makes a file after a while
		time.Sleep(time.Second)
		if err := os.WriteFile(os.Args[2], nil, 0o644); err != nil {
			fmt.Println(err)
			os.Exit(65)
		}
	case "stat": // 0 when a file is there
		if _, err := os.Stat(os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	default:
		os.Exit(64)
	}
}
