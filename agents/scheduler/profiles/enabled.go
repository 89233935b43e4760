package profiles

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"gantry/agents/scheduler/framework"
)

// builtIn are plug-ins of upstream that are no rows of the table, with their extension points.
var builtIn = map[string][]string{
	"SchedulingGates":   {"preEnqueue"},
	"PrioritySort":      {"queueSort"},
	"NodeName":          {"preFilter", "filter"},
	"DefaultPreemption": {"postFilter"},
	"DefaultBinder":     {"bind"},
}

// required are the built-in plug-ins that every profile has, by extension point.
var required = map[string]string{"preEnqueue": "SchedulingGates", "queueSort": "PrioritySort", "filter": "NodeName", "bind": "DefaultBinder"}

// absent are plug-ins of upstream that Gantry lacks. They may be disabled.
var absent = []string{
	"DynamicResources", "GangScheduling", "NodeDeclaredFeatures", "TopologyPlacementGenerator", "PodGroupPodsCount",
}

// pointsOf returns the extension points of a plug-in that has this name; nil: none has.
func pointsOf(name string, rows []framework.Plugin) []string {
	i := slices.IndexFunc(rows, func(row framework.Plugin) bool { return row.Name == name })
	if i < 0 {
		return builtIn[name]
	}
	row, points := &rows[i], []string(nil)
	for _, p := range []struct {
		has    bool
		points []string
	}{
		{row.Filter != nil, []string{"preFilter", "filter"}}, {row.Score != nil, []string{"preScore", "score"}},
		{row.Reserve != nil || row.Unreserve != nil, []string{"reserve"}}, {row.PreBind != nil, []string{"preBind"}},
	} {
		if p.has {
			points = append(points, p.points...)
		}
	}
	return points
}

// known returns whether a name may be disabled or have arguments.
func known(name string, rows []framework.Plugin) bool {
	return pointsOf(name, rows) != nil || slices.Contains(absent, name)
}

// enabledSet are the enabled plug-ins in order, and their weights, by extension point.
type enabledSet map[string][]weighted

type weighted struct {
	name   string
	weight int64 // 0: the default
}

func (e enabledSet) has(point, name string) bool {
	return slices.ContainsFunc(e[point], func(w weighted) bool { return w.name == name })
}

func (e enabledSet) weight(name string) int64 {
	for _, w := range e["score"] {
		if w.name == name {
			return w.weight
		}
	}
	return 0
}

// ordered returns the rows that are enabled at any extension point: filters in the order in which they are enabled, then the others.
func (e enabledSet) ordered(rows []framework.Plugin) (out []framework.Plugin) {
	byName := map[string]framework.Plugin{}
	for _, row := range rows {
		byName[row.Name] = row
	}
	for _, point := range []string{"filter", "score", "reserve", "preBind"} {
		for _, w := range e[point] {
			if row, ok := byName[w.name]; ok {
				out = append(out, row)
				delete(byName, w.name)
			}
		}
	}
	return out
}

// pointSet is the part of a profile for one extension point.
type pointSet struct {
	point string
	set   schedulerv1.PluginSet
}

func pointSets(p *schedulerv1.Plugins) []pointSet {
	return []pointSet{
		{"preEnqueue", p.PreEnqueue}, {"queueSort", p.QueueSort}, {"preFilter", p.PreFilter}, {"filter", p.Filter}, {"postFilter", p.PostFilter},
		{"preScore", p.PreScore}, {"score", p.Score}, {"reserve", p.Reserve}, {"permit", p.Permit}, {"preBind", p.PreBind}, {"bind", p.Bind},
		{"postBind", p.PostBind}, {"placementGenerate", p.PlacementGenerate}, {"placementScore", p.PlacementScore},
	}
}

// enabledPlugins returns what a profile enables: what multiPoint leaves of the defaults and adds, and at each extension point what is
// disabled and enabled there, which goes first.
func enabledPlugins(path *field.Path, p *schedulerv1.Plugins, rows []framework.Plugin) (enabledSet, field.ErrorList) {
	if p == nil {
		p = &schedulerv1.Plugins{}
	}
	faults := validateSet(path.Child("multiPoint"), "", p.MultiPoint, rows)
	multi := withDefaultPlugins(p.MultiPoint, rows)
	enabled := enabledSet{}
	for _, s := range pointSets(p) {
		faults = append(faults, validateSet(path.Child(s.point), s.point, s.set, rows)...)
		for _, own := range s.set.Enabled {
			enabled[s.point] = append(enabled[s.point], weightedOf(own))
		}
		for _, w := range multi {
			if !enabled.has(s.point, w.name) && !disables(s.set, w.name) && slices.Contains(pointsOf(w.name, rows), s.point) {
				enabled[s.point] = append(enabled[s.point], w)
			}
		}
	}
	return enabled, faults
}

// withDefaultPlugins returns what multiPoint enables: the defaults in their order unless it disables them, then what it adds.
func withDefaultPlugins(set schedulerv1.PluginSet, rows []framework.Plugin) (all []weighted) {
	for _, name := range []string{"SchedulingGates", "PrioritySort", "NodeName", "DefaultPreemption", "DefaultBinder"} {
		all = append(all, weighted{name: name})
	}
	for i := range rows {
		all = append(all, weighted{name: rows[i].Name})
	}
	all = slices.DeleteFunc(all, func(w weighted) bool { return disables(set, w.name) })
	for _, own := range set.Enabled {
		if i := slices.IndexFunc(all, func(w weighted) bool { return w.name == own.Name }); i >= 0 {
			all[i] = weightedOf(own)
		} else {
			all = append(all, weightedOf(own))
		}
	}
	return all
}

// weightedOf returns an enabled plug-in. One that is enabled without a weight has the weight 1, as upstream.
func weightedOf(p schedulerv1.Plugin) weighted {
	if p.Weight == nil || *p.Weight == 0 {
		return weighted{p.Name, 1}
	}
	return weighted{p.Name, int64(*p.Weight)}
}

func disables(set schedulerv1.PluginSet, name string) bool {
	return slices.ContainsFunc(set.Disabled, func(p schedulerv1.Plugin) bool { return p.Name == "*" || p.Name == name })
}

// validateSet returns the faults of one extension point ("": multiPoint).
//   - an enabled plug-in exists, has the extension point, is enabled once, and its weight is not negative
//   - a disabled plug-in exists, or is "*"
func validateSet(path *field.Path, point string, set schedulerv1.PluginSet, rows []framework.Plugin) (faults field.ErrorList) {
	seen := map[string]bool{}
	for i, p := range set.Enabled {
		at := path.Child("enabled").Index(i)
		points := pointsOf(p.Name, rows)
		switch {
		case points == nil:
			faults = append(faults, field.Invalid(at.Child("name"), p.Name, "no plug-in has this name"))
		case point != "" && !slices.Contains(points, point):
			faults = append(faults, field.Invalid(at.Child("name"), p.Name, "the plug-in does not extend "+point))
		case seen[p.Name]:
			faults = append(faults, field.Duplicate(at.Child("name"), p.Name))
		}
		if p.Weight != nil && (*p.Weight < 0 || *p.Weight > maxWeight) {
			faults = append(faults, field.Invalid(at.Child("weight"), *p.Weight, "not in valid range [0-1000000]"))
		}
		seen[p.Name] = true
	}
	for i, p := range set.Disabled {
		if p.Name != "*" && !known(p.Name, rows) {
			faults = append(faults, field.Invalid(path.Child("disabled").Index(i).Child("name"), p.Name, "no plug-in has this name"))
		}
	}
	return faults
}

// maxWeight bounds weights, so that the sum of weighted scores fits an int64.
const maxWeight = 1_000_000
