package kubectl

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gantry/integration/clients/session"
)

// commandLine is a line of `kubectl --help` that names a command.
var commandLine = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) {2,}\S`)

// untried are commands without a server, and why none of the sessions has them.
var untried = map[string]string{
	"kuberc": "changes a file of preferences",
}

// TestEveryCommandHasASession compares the commands that kubectl's help lists, with their subcommands, with those of the sessions.
func TestEveryCommandHasASession(t *testing.T) {
	var tried []string
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		steps, err := session.Parse(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			tried = append(tried, s.Command)
		}
	}
	commands := commandsOf(t)
	if len(commands) < 70 {
		t.Errorf("kubectl's help lists only %d commands: %v", len(commands), commands)
	}
	for _, words := range commands {
		used := regexp.MustCompile(`kubectl( -n \S+)? ` + strings.Join(words, " ") + `\b`)
		if !slices.ContainsFunc(tried, used.MatchString) && untried[words[0]] == "" {
			t.Errorf("no session has kubectl %s", strings.Join(words, " "))
		}
	}
}

// commandsOf lists the words of each command below parents.
func commandsOf(t *testing.T, parents ...string) (commands [][]string) {
	t.Helper()
	out, err := exec.Command(program(), append(slices.Clone(parents), "--help")...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %v --help: %v\n%s", parents, err, out)
	}
	text := string(out)
	if _, list, ok := strings.Cut(text, "Available Commands:"); ok {
		text = list
	} else if len(parents) > 0 {
		return nil
	}
	for _, m := range commandLine.FindAllStringSubmatch(text, -1) {
		words := append(slices.Clone(parents), m[1])
		commands = append(append(commands, words), commandsOf(t, words...)...)
	}
	return commands
}
