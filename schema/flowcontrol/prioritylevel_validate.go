package flowcontrol

import (
	"fmt"
	"math"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// roundTripAnnotation is of v1beta3 alone.
const roundTripAnnotation = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"

// validateLevel checks the spec, which is fixed for the levels that every cluster has, and the status.
func validateLevel(l *level) field.ErrorList {
	var f check.Errors
	if _, there := l.Annotations[roundTripAnnotation]; there {
		f.Forbidden(field.NewPath("metadata", "annotations"), fmt.Sprintf("annotation '%s' is forbidden", roundTripAnnotation))
	}
	checkLevel(&f, l)
	for _, fixed := range MandatoryPriorityLevels() {
		if l.Name != fixed.Name {
			continue
		}
		have, but := l.Spec, ""
		if l.Name == exempt {
			have.Exempt, but = fixed.Spec.Exempt, " except the 'spec.exempt' field"
		}
		if !equality.Semantic.DeepEqual(have, fixed.Spec) {
			f.Invalid(specPath, l.Spec, fmt.Sprintf("spec of '%s'%s must equal the fixed value", l.Name, but))
		}
	}
	status := checkLevelStatus(l)
	f.Add(status.List...)
	return f.List
}

func checkLevel(f *check.Errors, l *level) {
	spec := &l.Spec
	kind, limited, exempted := specPath.Child("type"), specPath.Child("limited"), specPath.Child("exempt")
	if (l.Name == exempt) != (spec.Type == flowcontrolv1.PriorityLevelEnablementExempt) {
		f.Invalid(kind, spec.Type, "must be 'Exempt' if and only if `name` is 'exempt'")
	}
	switch spec.Type {
	case flowcontrolv1.PriorityLevelEnablementExempt:
		if spec.Limited != nil {
			f.Forbidden(limited, "must be nil if the type is not Limited")
		}
		if e := spec.Exempt; e != nil {
			checkShares(f, e.NominalConcurrencyShares, exempted)
			checkLendable(f, e.LendablePercent, exempted)
		}
	case flowcontrolv1.PriorityLevelEnablementLimited:
		if spec.Exempt != nil {
			f.Forbidden(exempted, "must be nil if the type is Limited")
		}
		if spec.Limited == nil {
			f.Required(limited, "must not be empty when type is Limited")
		} else {
			checkLimited(f, spec.Limited, limited)
		}
	default:
		check.SetOneOf(f, kind, spec.Type, flowcontrolv1.PriorityLevelEnablementExempt, flowcontrolv1.PriorityLevelEnablementLimited)
	}
}

func checkShares(f *check.Errors, n *int32, p *field.Path) {
	if n != nil && *n < 0 {
		f.Invalid(p.Child("nominalConcurrencyShares"), *n, "must be a non-negative integer")
	}
}

func checkLendable(f *check.Errors, n *int32, p *field.Path) {
	if n != nil && (*n < 0 || *n > 100) {
		f.Invalid(p.Child("lendablePercent"), *n, "must be between 0 and 100, inclusive")
	}
}

func checkLimited(f *check.Errors, l *flowcontrolv1.LimitedPriorityLevelConfiguration, p *field.Path) {
	checkShares(f, l.NominalConcurrencyShares, p)
	response := p.Child("limitResponse")
	queuing, q := response.Child("queuing"), l.LimitResponse.Queuing
	switch l.LimitResponse.Type {
	case flowcontrolv1.LimitResponseTypeReject:
		if q != nil {
			f.Forbidden(queuing, "must be nil if limited.limitResponse.type is not Limited")
		}
	case flowcontrolv1.LimitResponseTypeQueue:
		if q == nil {
			f.Required(queuing, "must not be empty if limited.limitResponse.type is Limited")
		} else {
			checkQueuing(f, q, queuing)
		}
	default:
		check.SetOneOf(f, response.Child("type"), l.LimitResponse.Type, flowcontrolv1.LimitResponseTypeQueue, flowcontrolv1.LimitResponseTypeReject)
	}
	checkLendable(f, l.LendablePercent, p)
	if n := l.BorrowingLimitPercent; n != nil && *n < 0 {
		f.Invalid(p.Child("borrowingLimitPercent"), *n, "if specified, must be a non-negative integer")
	}
}

const (
	maxQueues  = 10_000_000
	maxEntropy = 60 // bits of the hash that chooses a flow's queues
)

// checkQueuing checks that a hash has enough bits to choose handSize of all queues.
func checkQueuing(f *check.Errors, q *flowcontrolv1.QueuingConfiguration, p *field.Path) {
	const positive = "must be positive"
	if q.QueueLengthLimit <= 0 {
		f.Invalid(p.Child("queueLengthLimit"), q.QueueLengthLimit, positive)
	}
	if queues := p.Child("queues"); q.Queues <= 0 {
		f.Invalid(queues, q.Queues, positive)
	} else if q.Queues > maxQueues {
		f.Invalid(queues, q.Queues, fmt.Sprintf("must not be greater than %d", maxQueues))
	}
	hand := p.Child("handSize")
	switch entropy := math.Ceil(math.Log2(float64(q.Queues)) * float64(q.HandSize)); {
	case q.HandSize <= 0:
		f.Invalid(hand, q.HandSize, positive)
	case q.HandSize > q.Queues:
		f.Invalid(hand, q.HandSize, fmt.Sprintf("should not be greater than queues (%d)", q.Queues))
	case entropy > maxEntropy:
		f.Invalid(hand, q.HandSize, fmt.Sprintf("required entropy bits of deckSize %d and handSize %d should not be greater than %d", q.Queues, q.HandSize, maxEntropy))
	}
}
