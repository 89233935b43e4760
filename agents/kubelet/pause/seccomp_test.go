package pause

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestSeccompProfileAllowsTheProgram(t *testing.T) {
	var p struct {
		DefaultAction string
		Syscalls      []struct {
			Names  []string
			Action string
		}
	}
	if err := json.Unmarshal([]byte(SeccompProfile()), &p); err != nil {
		t.Fatal(err)
	}
	if p.DefaultAction != "SCMP_ACT_ERRNO" || len(p.Syscalls) != 1 || p.Syscalls[0].Action != "SCMP_ACT_ALLOW" {
		t.Fatalf("profile: %+v", p)
	}
	names := p.Syscalls[0].Names
	for _, want := range []string{"rt_sigaction", "rt_sigprocmask", "rt_sigtimedwait", "exit_group", "execve"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not allowed", want)
		}
	}
	for _, bad := range []string{"ptrace", "mount", "unshare", "setns", "bpf", "socket", "connect", "init_module", "keyctl"} {
		if slices.Contains(names, bad) {
			t.Errorf("%s is allowed", bad)
		}
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(names) {
		t.Error("a call is named twice")
	}
}
