package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

func validateEvent(e *corev1.Event) field.ErrorList {
	f := checkEvent(e, "reportingComponent")
	return f.List
}

// checkEvent checks what holds in every version. It has more rules for an event with an eventTime, which is of events.k8s.io. reporterField
// is the version's name of the field reportingComponent.
func checkEvent(e *corev1.Event, reporterField string) (f check.Errors) {
	about := field.NewPath("involvedObject", "namespace")
	const mismatch = "does not match event.namespace"
	if e.EventTime.IsZero() {
		of := e.InvolvedObject.Namespace
		if of != e.Namespace && (of != "" || e.Namespace != metav1.NamespaceDefault) {
			f.Invalid(about, of, mismatch)
		}
	} else {
		if e.InvolvedObject.Namespace == "" && e.Namespace != metav1.NamespaceDefault && e.Namespace != metav1.NamespaceSystem {
			f.Invalid(about, "", mismatch)
		}
		reporter := field.NewPath(reporterField)
		f.Set(reporter, e.ReportingController)
		f.Qualified(reporter, e.ReportingController)
		for _, t := range []struct {
			name, value string
			most        int
		}{{"reportingInstance", e.ReportingInstance, 128}, {"action", e.Action, 128}, {"reason", e.Reason, 128}} {
			f.Set(field.NewPath(t.name), t.value)
			checkLength(&f, field.NewPath(t.name), t.value, t.most)
		}
		checkLength(&f, field.NewPath("message"), e.Message, 1024)
	}
	f.Subdomain(field.NewPath("namespace"), e.Namespace)
	return f
}

func checkLength(f *check.Errors, p *field.Path, value string, most int) {
	if len(value) > most {
		f.Invalid(p, "", fmt.Sprintf("can have at most %v characters", most))
	}
}

func validateEventUpdate(e, _ *corev1.Event) field.ErrorList { return validateEvent(e) }
