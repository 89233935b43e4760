package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"gantry/agents/internal/nft"
)

// legacyTables is iptables-legacy of a family, which has its own rules in the kernel that nftables cannot list or change. Its program is run
// only where such a filter table exists.
type legacyTables struct{ file, program string }

func legacyOf(f *nft.Family) legacyTables {
	if f == nft.IPv6 {
		return legacyTables{"/proc/net/ip6_tables_names", "ip6tables-legacy"}
	}
	return legacyTables{"/proc/net/ip_tables_names", "iptables-legacy"}
}

// ensure is ensureForward for a host whose Docker uses iptables-legacy.
func (l legacyTables) ensure(clusterCIDR netip.Prefix) error {
	rules, err := l.rules()
	if err != nil || rules == "" {
		return err
	}
	chain := ""
	switch {
	case hasLine(rules, "-N "+dockerUser):
		chain = dockerUser
	case hasLine(rules, "-P "+forward+" DROP"):
		chain = forward
	}
	adds, dels := planLegacy(rules, chain, clusterCIDR)
	return l.run(append(dels, adds...))
}

// rules returns the output of `iptables-legacy -S`, "" where there is no legacy filter table or no such program.
func (l legacyTables) rules() (string, error) {
	names, err := os.ReadFile(l.file)
	if err != nil || !hasLine(string(names), "filter") {
		return "", nil // the kernel may lack them
	}
	if _, err := exec.LookPath(l.program); err != nil {
		return "", nil
	}
	out, err := exec.Command(l.program, "-w", "5", "-S").Output()
	if err != nil {
		return "", fmt.Errorf("listing legacy rules: %w", err)
	}
	return string(out), nil
}

// planLegacy returns the arguments of commands after which the agent's rules are in chain ("": in none) and in no other. Pure.
func planLegacy(rules, chain string, clusterCIDR netip.Prefix) (adds, dels [][]string) {
	want := map[string]bool{}
	if chain != "" {
		for _, side := range []string{"-s", "-d"} {
			want[fmt.Sprintf("-A %s %s %s -m comment --comment %q -j ACCEPT", chain, side, clusterCIDR.Masked(), forwardComment)] = true
		}
	}
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "-A ") || !strings.Contains(line, fmt.Sprintf("--comment %q", forwardComment)) {
			continue
		}
		if want[line] {
			delete(want, line)
			continue
		}
		dels = append(dels, legacyArgs("-D", line))
	}
	for line := range want {
		adds = append(adds, legacyArgs("-I", line))
	}
	return adds, dels
}

// legacyArgs returns the arguments that apply command (-I, -D) to the rule in a line of -S.
func legacyArgs(command, line string) []string {
	line = strings.Replace(line, fmt.Sprintf("%q", forwardComment), "\x00", 1)
	args := strings.Fields(line)
	args[0] = command
	for i := range args {
		if args[i] == "\x00" {
			args[i] = forwardComment
		}
	}
	return args
}

func (l legacyTables) run(all [][]string) error {
	var errs []error
	for _, args := range all {
		out, err := exec.Command(l.program, append([]string{"-w", "5"}, args...)...).CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("running %s %s: %w: %s", l.program, strings.Join(args, " "), err, strings.TrimSpace(string(out))))
		}
	}
	return errors.Join(errs...)
}

func (l legacyTables) remove() error {
	rules, err := l.rules()
	if err != nil || rules == "" {
		return err
	}
	_, dels := planLegacy(rules, "", netip.Prefix{})
	return l.run(dels)
}
