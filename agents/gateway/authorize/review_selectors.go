package authorize

import (
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// readSelectors returns the field selector of what a review asks for, and a sentence for each selector of which something is ignored.
// The requirements of a selector are all to hold: without one of them, more is asked for.
func readSelectors(res *authorizationv1.ResourceAttributes) (selector string, ignored []string) {
	if s := res.FieldSelector; s != nil {
		terms, complete := fieldTerms(s)
		ignored = append(ignored, ignoredText("fieldSelector", len(terms), complete)...)
		selector = fields.AndSelectors(terms...).String()
	}
	if s := res.LabelSelector; s != nil {
		terms, complete := labelTerms(s)
		ignored = append(ignored, ignoredText("labelSelector", terms, complete)...)
	}
	return selector, ignored
}

func ignoredText(field string, terms int, complete bool) []string {
	switch {
	case complete:
		return nil
	case terms > 0:
		return []string{"spec.resourceAttributes." + field + " partially ignored due to parse error"}
	}
	return []string{"spec.resourceAttributes." + field + " ignored due to parse error"}
}

// fieldTerms are what is understood of a field selector, and whether that is all of it.
func fieldTerms(s *authorizationv1.FieldSelectorAttributes) (terms []fields.Selector, complete bool) {
	if s.RawSelector != "" {
		parsed, err := fields.ParseSelector(s.RawSelector)
		if err != nil {
			return nil, false
		}
		return []fields.Selector{parsed}, true
	}
	complete = true
	for _, one := range s.Requirements {
		switch {
		case len(one.Values) == 1 && one.Operator == metav1.FieldSelectorOpIn:
			terms = append(terms, fields.OneTermEqualSelector(one.Key, one.Values[0]))
		case len(one.Values) == 1 && one.Operator == metav1.FieldSelectorOpNotIn:
			terms = append(terms, fields.OneTermNotEqualSelector(one.Key, one.Values[0]))
		default:
			complete = false
		}
	}
	return terms, complete
}

// labelTerms is how much is understood of a label selector, and whether that is all of it.
func labelTerms(s *authorizationv1.LabelSelectorAttributes) (terms int, complete bool) {
	if s.RawSelector != "" {
		_, err := labels.Parse(s.RawSelector)
		return 0, err == nil
	}
	complete = true
	for _, one := range s.Requirements {
		op, known := labelOperator(one.Operator)
		if _, err := labels.NewRequirement(one.Key, op, one.Values); !known || err != nil {
			complete = false
			continue
		}
		terms++
	}
	return terms, complete
}

func labelOperator(op metav1.LabelSelectorOperator) (o selection.Operator, known bool) {
	switch op {
	case metav1.LabelSelectorOpIn:
		return selection.In, true
	case metav1.LabelSelectorOpNotIn:
		return selection.NotIn, true
	case metav1.LabelSelectorOpExists:
		return selection.Exists, true
	case metav1.LabelSelectorOpDoesNotExist:
		return selection.DoesNotExist, true
	}
	return "", false
}

// evaluationError joins the authorizers' error and what was ignored.
func evaluationError(err error, ignored []string) string {
	if err != nil {
		ignored = append([]string{err.Error()}, ignored...)
	}
	return strings.Join(ignored, "; ")
}
