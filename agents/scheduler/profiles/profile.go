package profiles

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"

	"gantry/agents/scheduler/framework"
	"gantry/schema"
)

// profileOf returns a profile of the configuration, and the faults of its plug-ins.
func profileOf(i int, p *schedulerv1.KubeSchedulerProfile, rows []framework.Plugin) (framework.Profile, field.ErrorList) {
	path := field.NewPath("profiles").Index(i)
	enabled, faults := enabledPlugins(path.Child("plugins"), p.Plugins, rows)
	for point, name := range required {
		if !enabled.has(point, name) {
			faults = append(faults, field.Required(path.Child("plugins", point, "enabled"), fmt.Sprintf("plug-in %s can't be disabled", name)))
		}
	}
	configs, errs := configsOf(path.Child("pluginConfig"), p.PluginConfig, rows)
	faults = append(faults, errs...)
	out := framework.Profile{SchedulerName: nameOf(p), NoPreemption: !enabled.has("postFilter", "DefaultPreemption")}
	for _, row := range enabled.ordered(rows) {
		row = enabled.restrict(row)
		if config := configs[row.Name]; config != nil && row.Configure != nil {
			row, errs = row.Configure(row, config.path, config.decode)
			faults = append(faults, errs...)
		}
		out.Rows = append(out.Rows, row)
	}
	return out, faults
}

// restrict returns a row without the functions of extension points at which it is not enabled.
func (e enabledSet) restrict(row framework.Plugin) framework.Plugin {
	if !e.has("filter", row.Name) || !e.has("preFilter", row.Name) {
		row.Filter = nil
	}
	if !e.has("score", row.Name) || !e.has("preScore", row.Name) {
		row.Score = nil
	}
	if !e.has("reserve", row.Name) {
		row.Reserve, row.Unreserve = nil, nil
	}
	if !e.has("preBind", row.Name) {
		row.PreBind = nil
	}
	if weight := e.weight(row.Name); weight != 0 && row.Score != nil {
		row.Weight = weight
	}
	return row
}

// pluginConfig are the arguments of a plug-in.
type pluginConfig struct {
	path *field.Path
	raw  []byte
	kind string
}

// configsOf returns the arguments by plug-in.
func configsOf(path *field.Path, list []schedulerv1.PluginConfig, rows []framework.Plugin) (map[string]*pluginConfig, field.ErrorList) {
	var faults field.ErrorList
	configs := map[string]*pluginConfig{}
	for i, c := range list {
		at := path.Index(i)
		switch {
		case !known(c.Name, rows):
			faults = append(faults, field.Invalid(at.Child("name"), c.Name, "no plug-in has this name"))
		case configs[c.Name] != nil:
			faults = append(faults, field.Duplicate(at, c.Name))
		default:
			configs[c.Name] = &pluginConfig{path: at.Child("args"), raw: c.Args.Raw, kind: c.Name + "Args"}
			faults = append(faults, checkArgs(configs[c.Name], c.Name, rows)...)
		}
	}
	return configs, faults
}

// checkArgs decodes the arguments of a plug-in that is no row, or is not enabled: they must be right all the same.
func checkArgs(c *pluginConfig, name string, rows []framework.Plugin) field.ErrorList {
	if name == "DefaultPreemption" {
		return preemptionArgs(c.path, c.decode)
	}
	for i := range rows {
		if rows[i].Name == name {
			if rows[i].Configure == nil && len(c.raw) > 0 {
				return field.ErrorList{field.Forbidden(c.path, fmt.Sprintf("plug-in %s takes no arguments", name))}
			}
			return nil
		}
	}
	return nil
}

// decode sets a struct with TypeMeta from the arguments.
func (c *pluginConfig) decode(into framework.Args) *field.Error {
	if len(c.raw) > 0 {
		if err := schema.DecodeYAML(c.raw, into); err != nil {
			return field.Invalid(c.path, field.OmitValueType{}, err.Error())
		}
	}
	gvk := into.GetObjectKind().GroupVersionKind()
	if gvk.Kind != "" && gvk.Kind != c.kind || gvk.Group != "" && gvk.GroupVersion() != schedulerv1.SchemeGroupVersion {
		return field.Invalid(c.path, field.OmitValueType{}, fmt.Sprintf("want %s of %s, got %s of %s", c.kind, schedulerv1.SchemeGroupVersion, gvk.Kind, gvk.GroupVersion()))
	}
	return nil
}

// preemptionArgs returns the faults of the arguments of DefaultPreemption.
func preemptionArgs(path *field.Path, decode func(framework.Args) *field.Error) (faults field.ErrorList) {
	var args schedulerv1.DefaultPreemptionArgs
	if err := decode(&args); err != nil {
		return field.ErrorList{err}
	}
	setDefault(&args.MinCandidateNodesPercentage, 10)
	setDefault(&args.MinCandidateNodesAbsolute, 100)
	if n := *args.MinCandidateNodesPercentage; n < 0 || n > 100 {
		faults = append(faults, field.Invalid(path.Child("minCandidateNodesPercentage"), n, "not in valid range [0, 100]"))
	}
	if n := *args.MinCandidateNodesAbsolute; n < 0 {
		faults = append(faults, field.Invalid(path.Child("minCandidateNodesAbsolute"), n, "not in valid range [0, inf)"))
	}
	if *args.MinCandidateNodesPercentage == 0 && *args.MinCandidateNodesAbsolute == 0 {
		faults = append(faults, field.Invalid(path.Child("minCandidateNodesPercentage"), 0, "cannot be zero at the same time as minCandidateNodesAbsolute"))
	}
	return faults
}
