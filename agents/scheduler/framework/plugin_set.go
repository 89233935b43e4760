package framework

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/safely"
)

// PluginSet is a table of plug-ins with the data of each, and with its rows by what they do.
type PluginSet struct {
	rows   []Plugin
	data   []any // by row
	handle Handle
	events [][]ClusterEvent // by row

	nodeFilters    []int // rows with a filter that is not ClusterWide
	clusterFilters []int
	fixedScores    []int // rows with a score that is kept by node and needs no normalizing
	nodeScores     []int // rows with a score that is kept by node and normalized for every pod
	clusterScores  []int
	reserves       bool // any row has reserve or unreserve
	preBinds       bool
}

// NewPluginSet returns a table with what newData of every row returns for h.
func NewPluginSet(rows []Plugin, h Handle) *PluginSet {
	s := &PluginSet{rows: rows, data: make([]any, len(rows)), handle: h}
	for i := range rows {
		row := &rows[i]
		s.events = append(s.events, eventsOf(row))
		if row.NewData != nil {
			s.data[i] = row.NewData(h)
		}
		switch {
		case row.Filter == nil:
		case row.ClusterWide:
			s.clusterFilters = append(s.clusterFilters, i)
		default:
			s.nodeFilters = append(s.nodeFilters, i)
		}
		switch {
		case row.Score == nil:
		case row.ClusterWide:
			s.clusterScores = append(s.clusterScores, i)
		case row.Normalize != nil:
			s.nodeScores = append(s.nodeScores, i)
		default:
			s.fixedScores = append(s.fixedScores, i)
		}
		s.reserves = s.reserves || row.Reserve != nil || row.Unreserve != nil
		s.preBinds = s.preBinds || row.PreBind != nil
	}
	return s
}

// sign returns what plug-ins add to a pod's signature, by name; nil: nothing.
func (s *PluginSet) sign(pod *corev1.Pod) map[string]any {
	var all map[string]any
	for i := range s.rows {
		if s.rows[i].Sign != nil {
			if all == nil {
				all = map[string]any{}
			}
			all[s.rows[i].Name] = s.rows[i].Sign(pod)
		}
	}
	return all
}

// Reserve runs every plug-in's reserve and returns the results by row; nil: no plug-in reserves. After an error nothing is reserved.
func (s *PluginSet) Reserve(pod *corev1.Pod, node *corev1.Node) ([]any, error) {
	if !s.reserves {
		return nil, nil
	}
	reserved := make([]any, len(s.rows))
	for i := range s.rows {
		row := &s.rows[i]
		if row.Reserve == nil {
			continue
		}
		err := safely.Call(func() (err error) {
			reserved[i], err = row.Reserve(s.data[i], pod, node)
			return err
		})
		if err != nil {
			reserved[i] = nil
			s.Unreserve(pod, node, reserved)
			return nil, fmt.Errorf("reserving on node %s by plug-in %s: %w", node.Name, row.Name, err)
		}
	}
	return reserved, nil
}

// Unreserve runs every plug-in's unreserve, the last row first.
func (s *PluginSet) Unreserve(pod *corev1.Pod, node *corev1.Node, reserved []any) {
	for i := len(s.rows) - 1; i >= 0; i-- {
		if row := &s.rows[i]; row.Unreserve != nil {
			safely.Do(s.handle.Log, "unreserving by plug-in "+row.Name, func() { row.Unreserve(s.data[i], pod, node, reserved[i]) })
		}
	}
}

// skipsPreBind returns whether the plug-in of row i has no PreBind for a pod.
func (s *PluginSet) skipsPreBind(i int, reserved []any) bool {
	row := &s.rows[i]
	return row.PreBind == nil || row.Reserve != nil && (i >= len(reserved) || reserved[i] == nil)
}

// NeedsPreBind returns whether any plug-in has a PreBind for a pod.
func (s *PluginSet) NeedsPreBind(reserved []any) bool {
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

// PreBind runs every plug-in's PreBind in order and stops at the first error. It reads nothing that the scheduling loop changes.
func (s *PluginSet) PreBind(ctx context.Context, pod *corev1.Pod, node *corev1.Node, reserved []any) error {
	for i := range s.rows {
		row := &s.rows[i]
		if s.skipsPreBind(i, reserved) {
			continue
		}
		var own any
		if reserved != nil {
			own = reserved[i]
		}
		err := safely.Call(func() error { return row.PreBind(ctx, s.data[i], pod, node, own) })
		if err != nil {
			return fmt.Errorf("preparing node %s by plug-in %s: %w", node.Name, row.Name, err)
		}
	}
	return nil
}
