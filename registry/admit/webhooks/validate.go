package webhooks

import (
	"context"
	"sync"

	reviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"

	"gantry/registry/admit"
	"gantry/registry/admit/match"
	"gantry/registry/safely"
)

type validator struct{ calls }

// validate asks all validating webhooks of a request at the same time; the first refusal, in their order, is its answer.
func (v *validator) validate(ctx context.Context, read admit.Reader, q *admit.Request) error {
	configurations, err := read.List(ctx, admissionv1.GroupName, validatingPlural, "")
	if err != nil {
		return err
	}
	type asked struct {
		*hook
		objects *match.Objects
		answer  *reviewv1.AdmissionResponse
		err     error
	}
	var all []*asked
	for _, h := range v.hooks.of(configurations) {
		o, err := v.wants(ctx, read, q, h)
		if err != nil {
			return err
		}
		if o != nil {
			all = append(all, &asked{hook: h, objects: o})
		}
	}
	var group sync.WaitGroup
	for _, a := range all {
		group.Go(func() {
			a.err = safely.Call(func() (err error) {
				a.answer, err = v.call(ctx, read, q, a.hook, a.objects, false)
				return err
			})
		})
	}
	group.Wait()
	var first error
	for _, a := range all {
		err := a.err
		if err == nil {
			err = accept(q, a.hook, a.answer)
		}
		err = v.failed(ctx, q, a.hook, err)
		if first == nil {
			first = err
		}
	}
	return first
}
