package framework

import (
	"slices"

	"gantry/schema"
	"gantry/schema/core"
)

// Action is what happened to an object; in a ClusterEvent of a Plugin it may be several.
type Action uint8

// The actions. A pod is added when it comes to a node, and deleted when it leaves the node or ends there.
const (
	Add Action = 1 << iota
	Update
	Delete

	AnyAction = Add | Update | Delete
)

// ActionOf returns the action that an object was there before, and is there now.
func ActionOf(before, now bool) Action {
	switch {
	case !before:
		return Add
	case !now:
		return Delete
	}
	return Update
}

// ClusterEvent is a change in the cluster that may let a pod fit.
type ClusterEvent struct {
	Kind    *schema.Kind
	Actions Action
}

// defaultEvents are those of a row that states none: all changes of the kinds that the cluster state holds.
var defaultEvents = []ClusterEvent{{core.Node, AnyAction}, {core.Pod, AnyAction}, {core.Namespace, AnyAction}}

// eventsOf returns the events of a row. A node that is new was rejected by no row yet, so every row has that.
func eventsOf(row *Plugin) []ClusterEvent {
	if row.Events == nil {
		return defaultEvents
	}
	return append(slices.Clone(row.Events), ClusterEvent{core.Node, Add})
}

// hasEvent returns whether row i has an event.
func (s *PluginSet) hasEvent(i int, event ClusterEvent) bool {
	return slices.ContainsFunc(s.events[i], func(e ClusterEvent) bool { return e.Kind == event.Kind && e.Actions&event.Actions != 0 })
}

// nodeFiltersHaveEvent returns whether a filter that looks at one node alone has an event. All of them count, not those that rejected alone:
// of several that reject a node only the first is known.
func (s *PluginSet) nodeFiltersHaveEvent(event ClusterEvent) bool {
	return slices.ContainsFunc(s.nodeFilters, func(i int) bool { return s.hasEvent(i, event) })
}

// anyHasEvent returns whether any row has an event.
func (s *PluginSet) anyHasEvent(event ClusterEvent) bool {
	for i := range s.rows {
		if s.hasEvent(i, event) {
			return true
		}
	}
	return false
}

// OtherKinds returns the kinds of the events of all profiles' rows beside nodes, pods and namespaces.
func (c *ClusterState) OtherKinds() []*schema.Kind {
	var kinds []*schema.Kind
	for _, set := range c.profiles {
		for _, e := range slices.Concat(set.events...) {
			known := slices.ContainsFunc(defaultEvents, func(d ClusterEvent) bool { return d.Kind == e.Kind })
			if !known && !slices.Contains(kinds, e.Kind) {
				kinds = append(kinds, e.Kind)
			}
		}
	}
	return kinds
}

// ObjectChanged drops what the PreFilter of rows with an event has returned. It is for kinds that the cluster state does not hold. It returns
// whether any row has the event.
func (c *ClusterState) ObjectChanged(event ClusterEvent) (registered bool) {
	for _, set := range c.profiles {
		registered = registered || set.anyHasEvent(event)
	}
	if !registered {
		return false
	}
	for _, sig := range c.RecentSignatures {
		for i := range sig.Plugins.rows {
			if sig.PreFilterState != nil && sig.Plugins.hasEvent(i, event) {
				sig.PreFilterState.dropOwn(i)
			}
		}
	}
	c.Version++
	return true
}

// MayHelp returns whether an event may let pods of sig, which fitted no node, fit now: a ClusterWide plug-in that rejected them has the
// event, or one that looks at one node alone did, and all of these let them pass n now. n is the node that the event is about; nil: none.
func (c *ClusterState) MayHelp(sig *PodSignature, event ClusterEvent, n *NodeInfo) bool {
	why := sig.lastFailure
	switch {
	case sig.fault != nil:
		return false
	case why == nil:
		return true
	}
	newNode, rejectedByNode := event.Kind == core.Node && event.Actions == Add, false
	for i, rejected := range why.rejectedBy {
		switch {
		case !rejected:
		case !sig.Plugins.rows[i].ClusterWide:
			rejectedByNode = true
		case sig.Plugins.hasEvent(i, event):
			return true
		}
	}
	asked := newNode || rejectedByNode && sig.Plugins.nodeFiltersHaveEvent(event)
	return asked && n != nil && c.passesNodeFilters(sig, n)
}
