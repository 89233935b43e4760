package proxy

import (
	"fmt"
	"strconv"
	"strings"
)

// The chains for keys without endpoints.
const (
	refuseChain = "refuse" // answers with a TCP reset or ICMP port unreachable
	ignoreChain = "ignore" // drops: another node may have endpoints
)

// chainName returns the name of the chain that chooses one of n slots: "pick-3". With timeout > 0 (seconds) it has client
// affinity: "sticky-3-10800". With outside, clients outside of the cluster get the first local slots only: "local-1-3",
// "local-1-3-10800".
func chainName(n, local, timeout int, outside bool) string {
	switch {
	case outside && timeout > 0:
		return fmt.Sprintf("local-%d-%d-%d", local, n, timeout)
	case outside:
		return fmt.Sprintf("local-%d-%d", local, n)
	case timeout > 0:
		return fmt.Sprintf("sticky-%d-%d", n, timeout)
	}
	return fmt.Sprintf("pick-%d", n)
}

// chainKind is a parsed chainName.
type chainKind struct {
	kind              string // "pick", "sticky", "local"
	n, local, timeout int
}

// parseChain parses a name that chainName made; ok is false for any other.
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
		c.local, c.n = nums[0], nums[1]
	case c.kind == "local" && len(nums) == 3:
		c.local, c.n, c.timeout = nums[0], nums[1], nums[2]
	default:
		return c, false
	}
	return c, c.n > 0
}

// needs returns the names of the chains that a chain leads to, its own last.
func (c chainKind) needs() []string {
	if c.kind != "local" {
		return []string{chainName(c.n, c.n, c.timeout, false)}
	}
	out := []string{chainName(c.n, c.n, c.timeout, false)}
	if c.local > 0 && c.local != c.n {
		out = append(out, chainName(c.local, c.local, c.timeout, false))
	}
	return append(out, chainName(c.n, c.local, c.timeout, true))
}
