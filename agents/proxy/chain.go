package proxy

import (
	"fmt"
	"strconv"
	"strings"
)

// The chains that every unserved key leads to one of.
const (
	refuse = "refuse" // a TCP reset or an ICMP port unreachable
	ignore = "ignore" // silence: somebody else may serve it
)

// chainName is the chain that picks one of n slots: "pick-3". timeout > 0 (seconds) makes it remember clients:
// "sticky-3-10800". outside tells that clients from outside of the cluster may only have the first here slots:
// "local-1-3", "local-1-3-10800".
func chainName(n, here, timeout int, outside bool) string {
	switch {
	case outside && timeout > 0:
		return fmt.Sprintf("local-%d-%d-%d", here, n, timeout)
	case outside:
		return fmt.Sprintf("local-%d-%d", here, n)
	case timeout > 0:
		return fmt.Sprintf("sticky-%d-%d", n, timeout)
	}
	return fmt.Sprintf("pick-%d", n)
}

// chainKind is a chain's name taken apart.
type chainKind struct {
	kind             string // "pick", "sticky", "local"
	n, here, timeout int
}

// parseChain takes a name of chainName apart; ok is false for any other.
func parseChain(name string) (c chainKind, ok bool) {
	parts := strings.Split(name, "-")
	nums := make([]int, 0, 3)
	for _, p := range parts[1:] {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return c, false
		}
		nums = append(nums, v)
	}
	c.kind = parts[0]
	switch {
	case c.kind == "pick" && len(nums) == 1:
		c.n = nums[0]
	case c.kind == "sticky" && len(nums) == 2:
		c.n, c.timeout = nums[0], nums[1]
	case c.kind == "local" && len(nums) == 2:
		c.here, c.n = nums[0], nums[1]
	case c.kind == "local" && len(nums) == 3:
		c.here, c.n, c.timeout = nums[0], nums[1], nums[2]
	default:
		return c, false
	}
	return c, c.n > 0
}

// needs are the chains that a chain leads to, itself last.
func (c chainKind) needs() []string {
	if c.kind != "local" {
		return []string{chainName(c.n, c.n, c.timeout, false)}
	}
	out := []string{chainName(c.n, c.n, c.timeout, false)}
	if c.here > 0 && c.here != c.n {
		out = append(out, chainName(c.here, c.here, c.timeout, false))
	}
	return append(out, chainName(c.n, c.here, c.timeout, true))
}
