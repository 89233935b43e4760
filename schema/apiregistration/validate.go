package apiregistration

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/schema/internal/check"
)

var specPath = field.NewPath("spec")

// validate checks that
//   - the name is the version and the group;
//   - the group is a DNS subdomain, and empty for v1 alone; the version is a DNS label, the priorities within their ranges;
//   - a service is named, or there is nothing about its certificate.
func validate(s *service) field.ErrorList {
	var f check.Errors
	spec := &s.Spec
	checkName(&f, s.GenerateName, spec, field.NewPath("metadata", "generateName"))
	checkName(&f, s.Name, spec, field.NewPath("metadata", "name"))
	if spec.Group == "" && spec.Version != "v1" {
		f.Required(specPath.Child("group"), "only v1 may have an empty group and it better be legacy kube")
	}
	if spec.Group != "" {
		f.Subdomain(specPath.Child("group"), spec.Group)
	}
	f.Each(specPath.Child("version"), spec.Version, validation.IsDNS1035Label(spec.Version))
	if n := spec.GroupPriorityMinimum; n <= 0 || n > 20000 {
		f.Invalid(specPath.Child("groupPriorityMinimum"), n, "must be positive and less than 20000")
	}
	if n := spec.VersionPriority; n <= 0 || n > 1000 {
		f.Invalid(specPath.Child("versionPriority"), n, "must be positive and less than 1000")
	}
	insecure := specPath.Child("insecureSkipTLSVerify")
	if spec.Service == nil {
		if n := len(spec.CABundle); n != 0 {
			f.Invalid(specPath.Child("caBundle"), fmt.Sprintf("%d bytes", n), "local APIServices may not have a caBundle")
		}
		if spec.InsecureSkipTLSVerify {
			f.Invalid(insecure, true, "local APIServices may not have insecureSkipTLSVerify")
		}
		return f.List
	}
	checkService(&f, spec.Service, specPath.Child("service"))
	if spec.InsecureSkipTLSVerify && len(spec.CABundle) > 0 {
		f.Invalid(insecure, true, "may not be true if caBundle is present")
	}
	return f.List
}

// checkName also requires that of a generateName, as Kubernetes does.
func checkName(f *check.Errors, is string, spec *registrationv1.APIServiceSpec, p *field.Path) {
	if name := spec.Version + "." + spec.Group; is != "" && is != name && len(content.IsPathSegmentName(is)) == 0 {
		f.Invalid(p, is, fmt.Sprintf("must be `spec.version+\".\"+spec.group`: %q", name))
	}
}

func checkService(f *check.Errors, r *registrationv1.ServiceReference, p *field.Path) {
	f.Set(p.Child("namespace"), r.Namespace)
	f.Set(p.Child("name"), r.Name)
	port := int32(0)
	if r.Port != nil {
		port = *r.Port
	}
	if wrong := validation.IsValidPortNum(int(port)); wrong != nil {
		f.Invalid(p.Child("port"), port, "port is not valid: "+strings.Join(wrong, ", "))
	}
}

func validateUpdate(s, _ *service) field.ErrorList { return validate(s) }

func validateStatus(s, _ *service) field.ErrorList {
	var f check.Errors
	for i, c := range s.Status.Conditions {
		check.OneOf(&f, field.NewPath("status", "conditions").Index(i).Child("status"), c.Status, registrationv1.ConditionTrue, registrationv1.ConditionFalse, registrationv1.ConditionUnknown)
	}
	return f.List
}
