package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The names of the objects that every cluster has, of both kinds.
const (
	exempt   = "exempt"
	catchAll = "catch-all"
)

// MandatoryFlowSchemas are new objects of the flow schemas that every cluster has. Their specs cannot be changed.
func MandatoryFlowSchemas() []*flowcontrolv1.FlowSchema {
	return []*flowcontrolv1.FlowSchema{
		{
			ObjectMeta: mandatoryMeta(exempt),
			Spec:       flowcontrolv1.FlowSchemaSpec{MatchingPrecedence: 1, PriorityLevelConfiguration: levelNamed(exempt), Rules: everythingOf("system:masters")},
		},
		{
			ObjectMeta: mandatoryMeta(catchAll),
			Spec: flowcontrolv1.FlowSchemaSpec{
				MatchingPrecedence: flowcontrolv1.FlowSchemaMaxMatchingPrecedence, PriorityLevelConfiguration: levelNamed(catchAll),
				DistinguisherMethod: &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType},
				Rules:               everythingOf("system:unauthenticated", "system:authenticated"),
			},
		},
	}
}

// MandatoryPriorityLevels are new objects of the priority levels that every cluster has. Of their specs, spec.exempt alone can be changed.
func MandatoryPriorityLevels() []*flowcontrolv1.PriorityLevelConfiguration {
	zero, none, five := int32(0), int32(0), int32(5)
	return []*flowcontrolv1.PriorityLevelConfiguration{
		{
			ObjectMeta: mandatoryMeta(exempt),
			Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
				Type:   flowcontrolv1.PriorityLevelEnablementExempt,
				Exempt: &flowcontrolv1.ExemptPriorityLevelConfiguration{NominalConcurrencyShares: &zero, LendablePercent: &zero},
			},
		},
		{
			ObjectMeta: mandatoryMeta(catchAll),
			Spec: flowcontrolv1.PriorityLevelConfigurationSpec{
				Type: flowcontrolv1.PriorityLevelEnablementLimited,
				Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
					NominalConcurrencyShares: &five, LendablePercent: &none, LimitResponse: flowcontrolv1.LimitResponse{Type: flowcontrolv1.LimitResponseTypeReject},
				},
			},
		},
	}
}

func mandatoryMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Annotations: map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "true"}}
}

func levelNamed(name string) flowcontrolv1.PriorityLevelConfigurationReference {
	return flowcontrolv1.PriorityLevelConfigurationReference{Name: name}
}

// everythingOf is the rule of all requests of users in some groups.
func everythingOf(groups ...string) []flowcontrolv1.PolicyRulesWithSubjects {
	r := flowcontrolv1.PolicyRulesWithSubjects{
		ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
			Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}, Namespaces: []string{"*"}, ClusterScope: true,
		}},
		NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}},
	}
	for _, name := range groups {
		r.Subjects = append(r.Subjects, flowcontrolv1.Subject{Kind: flowcontrolv1.SubjectKindGroup, Group: &flowcontrolv1.GroupSubject{Name: name}})
	}
	return []flowcontrolv1.PolicyRulesWithSubjects{r}
}
