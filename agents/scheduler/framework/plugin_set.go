package framework

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/safely"
)

// PluginSet is the table of plug-ins of one profile with the data of each, and with its rows by what they do.
type PluginSet struct {
	// SchedulerName is the spec.schedulerName of the pods that the profile schedules.
	SchedulerName string
	// NoPreemption says that pods are not evicted for those of the profile.
	NoPreemption bool

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

// Profile is a way to schedule: the pods that it is for, and its plug-ins.
type Profile struct {
	SchedulerName string
	Rows          []Plugin
	NoPreemption  bool
}

// NewPluginSets returns the plug-ins of profiles. Rows of one name share what NewData returns for h.
func NewPluginSets(profiles []Profile, h Handle) []*PluginSet {
	data := map[string]any{}
	var sets []*PluginSet
	for _, p := range profiles {
		set := newPluginSet(p.Rows, h, data)
		set.SchedulerName, set.NoPreemption = p.SchedulerName, p.NoPreemption
		sets = append(sets, set)
	}
	return sets
}

// NewPluginSet returns the plug-ins of the only profile, which schedules pods of the default scheduler's name.
func NewPluginSet(rows []Plugin, h Handle) *PluginSet {
	return NewPluginSets([]Profile{{SchedulerName: corev1.DefaultSchedulerName, Rows: rows}}, h)[0]
}

// newPluginSet returns a set without a name; data is what NewData returned for rows of the same names.
func newPluginSet(rows []Plugin, h Handle, data map[string]any) *PluginSet {
	s := &PluginSet{rows: rows, data: make([]any, len(rows)), handle: h}
	for i := range rows {
		row := &rows[i]
		s.events = append(s.events, eventsOf(row))
		if _, known := data[row.Name]; !known && row.NewData != nil {
			data[row.Name] = row.NewData(h)
		}
		s.data[i] = data[row.Name]
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
