package scheduler

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/safely"
)

// pluginSet is a table of plug-ins with the data of each, and with its rows by what they do.
type pluginSet struct {
	rows   []plugin
	data   []any // by row
	handle handle

	nodeFilters    []int // rows with a filter that is not clusterWide
	clusterFilters []int
	fixedScores    []int // rows with a score that is kept by node and needs no normalizing
	nodeScores     []int // rows with a score that is kept by node and normalized for every pod
	clusterScores  []int
	reserves       bool // any row has reserve or unreserve
	preBinds       bool
}

func newPluginSet(rows []plugin, h handle) *pluginSet {
	s := &pluginSet{rows: rows, data: make([]any, len(rows)), handle: h}
	for i := range rows {
		row := &rows[i]
		if row.newData != nil {
			s.data[i] = row.newData(h)
		}
		switch {
		case row.filter == nil:
		case row.clusterWide:
			s.clusterFilters = append(s.clusterFilters, i)
		default:
			s.nodeFilters = append(s.nodeFilters, i)
		}
		switch {
		case row.score == nil:
		case row.clusterWide:
			s.clusterScores = append(s.clusterScores, i)
		case row.normalize != nil:
			s.nodeScores = append(s.nodeScores, i)
		default:
			s.fixedScores = append(s.fixedScores, i)
		}
		s.reserves = s.reserves || row.reserve != nil || row.unreserve != nil
		s.preBinds = s.preBinds || row.preBind != nil
	}
	return s
}

// sign returns what plug-ins add to a pod's signature, by name; nil: nothing.
func (s *pluginSet) sign(pod *corev1.Pod) map[string]any {
	var all map[string]any
	for i := range s.rows {
		if s.rows[i].sign != nil {
			if all == nil {
				all = map[string]any{}
			}
			all[s.rows[i].name] = s.rows[i].sign(pod)
		}
	}
	return all
}

// reserve runs every plug-in's reserve and returns the results by row; nil: no plug-in reserves. After an error nothing is reserved.
func (s *pluginSet) reserve(pod *corev1.Pod, node *corev1.Node) ([]any, error) {
	if !s.reserves {
		return nil, nil
	}
	reserved := make([]any, len(s.rows))
	for i := range s.rows {
		row := &s.rows[i]
		if row.reserve == nil {
			continue
		}
		err := safely.Call(func() (err error) {
			reserved[i], err = row.reserve(s.data[i], pod, node)
			return err
		})
		if err != nil {
			reserved[i] = nil
			s.unreserve(pod, node, reserved)
			return nil, fmt.Errorf("reserving on node %s by plug-in %s: %w", node.Name, row.name, err)
		}
	}
	return reserved, nil
}

// unreserve runs every plug-in's unreserve, the last row first.
func (s *pluginSet) unreserve(pod *corev1.Pod, node *corev1.Node, reserved []any) {
	for i := len(s.rows) - 1; i >= 0; i-- {
		if row := &s.rows[i]; row.unreserve != nil {
			safely.Do(s.handle.log, "unreserving by plug-in "+row.name, func() { row.unreserve(s.data[i], pod, node, reserved[i]) })
		}
	}
}

// skipsPreBind returns whether the plug-in of row i has no preBind for a pod.
func (s *pluginSet) skipsPreBind(i int, reserved []any) bool {
	row := &s.rows[i]
	return row.preBind == nil || row.reserve != nil && reserved[i] == nil
}

// needsPreBind returns whether any plug-in has a preBind for a pod.
func (s *pluginSet) needsPreBind(reserved []any) bool {
	if !s.preBinds {
		return false
	}
	for i := range s.rows {
		if !s.skipsPreBind(i, reserved) {
			return true
		}
	}
	return false
}

// preBind runs every plug-in's preBind in order and stops at the first error. It reads nothing that the scheduling loop changes.
func (s *pluginSet) preBind(ctx context.Context, pod *corev1.Pod, node *corev1.Node, reserved []any) error {
	for i := range s.rows {
		row := &s.rows[i]
		if s.skipsPreBind(i, reserved) {
			continue
		}
		var own any
		if reserved != nil {
			own = reserved[i]
		}
		err := safely.Call(func() error { return row.preBind(ctx, s.data[i], pod, node, own) })
		if err != nil {
			return fmt.Errorf("preparing node %s by plug-in %s: %w", node.Name, row.name, err)
		}
	}
	return nil
}
