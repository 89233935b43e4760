// Package session runs written sessions of commands and compares what they print. A session is a text file:
//
//	# a comment
//	$ kubectl create configmap a --from-literal=k=v
//	  configmap/a created
//	! kubectl get configmap b
//	  configmaps "b" not found
//	? kubectl get pods
//	  Running
//	$ kubectl apply -f - <<E
//	> kind: ConfigMap
//	> E
//
// A line of $ is a command of bash that must succeed, one of ! a command that must fail, one of ? a command that is repeated until it succeeds
// and prints what is wanted. Lines of > continue the command. Indented lines are wanted in what it prints on both outputs; after "- ", unwanted;
// between slashes, as regular expressions.
package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Step is a command and what is known of its output.
type Step struct {
	Line     int
	Kind     byte // '$', '!' or '?'
	Command  string
	Wanted   []string
	Unwanted []string
}

// Parse reads the file of a session.
func Parse(path string) ([]Step, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for i, line := range strings.Split(string(text), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || line[0] == '#':
		case kind == "$" || kind == "!" || kind == "?":
			steps = append(steps, Step{Line: i + 1, Kind: kind[0], Command: rest})
		case len(steps) == 0:
			return nil, fmt.Errorf("%s:%d: no command before this line", path, i+1)
		case kind == ">":
			steps[len(steps)-1].Command += "\n" + rest
		case strings.HasPrefix(line, "  - "):
			steps[len(steps)-1].Unwanted = append(steps[len(steps)-1].Unwanted, line[4:])
		case strings.HasPrefix(line, "  "):
			steps[len(steps)-1].Wanted = append(steps[len(steps)-1].Wanted, line[2:])
		default:
			return nil, fmt.Errorf("%s:%d: no line of a session: %q", path, i+1, line)
		}
	}
	return steps, nil
}

// timeout bounds a command, and the repetitions of one.
const timeout = 2 * time.Minute

// Run runs the steps of a file, in a folder of their own. env is added to the environment. The first command that does not end as wanted ends the
// test; unwanted output only fails it.
func Run(t *testing.T, path string, env ...string) {
	t.Helper()
	steps, err := Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, s := range steps {
		s.run(t, path, dir, env)
	}
}

func (s Step) run(t *testing.T, path, dir string, env []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for {
		out, err := s.try(ctx, dir, env)
		wrong := s.compare(out)
		failed := (err != nil) != (s.Kind == '!')
		if s.Kind == '?' && (failed || len(wrong) > 0) && ctx.Err() == nil {
			<-time.After(100 * time.Millisecond) // commands give no signal to wait on
			continue
		}
		if failed || len(wrong) > 0 {
			t.Errorf("%s:%d: %c %s\n%v\n%s\nit printed:\n%s", path, s.Line, s.Kind, s.Command, err, strings.Join(wrong, "\n"), out)
		}
		if failed {
			t.FailNow()
		}
		return
	}
}

func (s Step) try(ctx context.Context, dir string, env []string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-c", s.Command)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "HOME="+dir), env...)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // it left something in the background
		err = nil
	}
	return out.String(), err
}

// compare returns what is wrong with the output.
func (s Step) compare(out string) (wrong []string) {
	for _, w := range s.Wanted {
		if !has(out, w) {
			wrong = append(wrong, "wanted: "+w)
		}
	}
	for _, w := range s.Unwanted {
		if has(out, w) {
			wrong = append(wrong, "unwanted: "+w)
		}
	}
	return wrong
}

func has(out, text string) bool {
	if inner, ok := strings.CutPrefix(text, "/"); ok && len(inner) > 1 && strings.HasSuffix(inner, "/") {
		return regexp.MustCompile("(?m)" + strings.TrimSuffix(inner, "/")).MatchString(out)
	}
	return strings.Contains(out, text)
}
