package stats

import (
	"bytes"
	"slices"
	"strings"

	statsv1 "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// defaultInterface is the one that a pod's traffic is counted at; the first, where there is none of that name.
const defaultInterface = "eth0"

// maxInterfaces bounds those that are listed: privileged pods can make any number.
const maxInterfaces = 64

// parseNetwork reads the interfaces of a network namespace in its /proc/<pid>/net/dev (proc(5)), without the loopback one:
//
//	Inter-|   Receive                                                |  Transmit
//	 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
//	  eth0: 1296      16    0    0    0     0          0         0     1026      13    0    0    0     0       0          0
func parseNetwork(text []byte) (all []statsv1.InterfaceStats) {
	for line := range bytes.Lines(text) {
		name, counters, ok := strings.Cut(string(line), ":")
		fields := strings.Fields(counters)
		if name = strings.TrimSpace(name); !ok || len(fields) < 16 || name == "lo" || len(all) == maxInterfaces {
			continue
		}
		at := func(i int) *uint64 { return number([]byte(fields[i])) }
		all = append(all, statsv1.InterfaceStats{Name: name, RxBytes: at(0), RxErrors: at(2), TxBytes: at(8), TxErrors: at(10)})
	}
	slices.SortFunc(all, func(a, b statsv1.InterfaceStats) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// primary is the interface that stands for all; the zero value where there is none.
func primary(all []statsv1.InterfaceStats) statsv1.InterfaceStats {
	for _, i := range all {
		if i.Name == defaultInterface {
			return i
		}
	}
	if len(all) == 0 {
		return statsv1.InterfaceStats{}
	}
	return all[0]
}
