package profiles

import (
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
)

// maxBackoffSeconds is the longest back-off that can be set: a year.
const maxBackoffSeconds = 365 * 24 * 3600

// validate returns the faults of a configuration with defaults, but those of the plug-ins of its profiles.
//   - parallelism is more than 0
//   - percentageOfNodesToScore is 0 to 100
//   - podInitialBackoffSeconds is more than 0, podMaxBackoffSeconds not less than it
//   - there are no extenders
//   - every profile has a name of its own, and all have the same queueSort
func validate(c *schedulerv1.KubeSchedulerConfiguration) (faults field.ErrorList) {
	if *c.Parallelism <= 0 {
		faults = append(faults, field.Invalid(field.NewPath("parallelism"), *c.Parallelism, "should be an integer value greater than zero"))
	}
	faults = append(faults, validatePercentage(field.NewPath("percentageOfNodesToScore"), c.PercentageOfNodesToScore)...)
	switch initial := *c.PodInitialBackoffSeconds; {
	case initial <= 0:
		faults = append(faults, field.Invalid(field.NewPath("podInitialBackoffSeconds"), initial, "must be greater than 0"))
	case *c.PodMaxBackoffSeconds < initial:
		faults = append(faults, field.Invalid(field.NewPath("podMaxBackoffSeconds"), *c.PodMaxBackoffSeconds, "must be greater than or equal to PodInitialBackoffSeconds"))
	case *c.PodMaxBackoffSeconds > maxBackoffSeconds:
		faults = append(faults, field.Invalid(field.NewPath("podMaxBackoffSeconds"), *c.PodMaxBackoffSeconds, "must not be more than a year"))
	}
	if len(c.Extenders) > 0 {
		faults = append(faults, field.Forbidden(field.NewPath("extenders"), "extenders are not supported"))
	}
	return append(faults, validateNames(c.Profiles)...)
}

func validatePercentage(path *field.Path, percentage *int32) field.ErrorList {
	if percentage != nil && (*percentage < 0 || *percentage > 100) {
		return field.ErrorList{field.Invalid(path, *percentage, "not in valid range [0-100]")}
	}
	return nil
}

func validateNames(all []schedulerv1.KubeSchedulerProfile) (faults field.ErrorList) {
	first := map[string]int{}
	for i := range all {
		path := field.NewPath("profiles").Index(i)
		name := nameOf(&all[i])
		if name == "" {
			faults = append(faults, field.Required(path.Child("schedulerName"), ""))
		}
		if j, known := first[name]; known && name != "" {
			faults = append(faults, field.Duplicate(path.Child("schedulerName"), field.NewPath("profiles").Index(j).Child("schedulerName").String()))
		} else {
			first[name] = i
		}
		faults = append(faults, validatePercentage(path.Child("percentageOfNodesToScore"), all[i].PercentageOfNodesToScore)...)
		if !equality.Semantic.DeepEqual(queueSortOf(&all[0]), queueSortOf(&all[i])) {
			faults = append(faults, field.Invalid(path.Child("plugins", "queueSort"), queueSortOf(&all[i]), "must be the same for all profiles"))
		}
	}
	return faults
}

func nameOf(p *schedulerv1.KubeSchedulerProfile) string {
	if p.SchedulerName == nil {
		return ""
	}
	return *p.SchedulerName
}

func queueSortOf(p *schedulerv1.KubeSchedulerProfile) schedulerv1.PluginSet {
	if p.Plugins == nil {
		return schedulerv1.PluginSet{}
	}
	return p.Plugins.QueueSort
}
