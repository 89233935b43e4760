// Package apiregistration has the kinds of apiregistration.k8s.io: API services. Gateways pass on the requests for
// those that name a service.
package apiregistration

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/schema"
)

type service = registrationv1.APIService

// APIService is the kind of what tells who serves a version of a group.
var APIService = &schema.Kind{
	Version: schema.Version{
		Group: registrationv1.GroupName, Version: "v1", Kind: "APIService",
		New:     func() schema.Object { return &service{} },
		NewList: func() runtime.Object { return &registrationv1.APIServiceList{} },
		Columns: []metav1.TableColumnDefinition{
			schema.NameColumn(),
			schema.TextColumn("Service", "The reference to the service that hosts this API endpoint."),
			schema.TextColumn("Available", "Whether this service is available."),
			schema.AgeColumn(),
		},
		Row: func(obj schema.Object, now metav1.Time) []any {
			s := obj.(*service)
			return []any{s.Name, host(s), availability(s), schema.Age(s.CreationTimestamp, now)}
		},
		Default: schema.Preparation(func(s *service) {
			if r := s.Spec.Service; r != nil && r.Port == nil {
				port := int32(443)
				r.Port = &port
			}
		}),
	},
	Plural: "apiservices", Singular: "apiservice", Categories: []string{"api-extensions"},
	UpdateMeta: schema.MetaOfBoth,
	Prefix:     registrationv1.GroupName + "/apiservices",

	Subresources:  []schema.Subresource{schema.Status(prepareStatus, validateStatus)},
	AnyFinalizers: true,

	PrepareCreate:  schema.Preparation(prepareCreate),
	PrepareUpdate:  schema.UpdatePreparation(func(s, old *service) { s.Status = old.Status }),
	Validate:       schema.Validation(validate),
	ValidateUpdate: schema.UpdateValidation(validateUpdate),
}

// prepareCreate makes what the server itself serves available.
func prepareCreate(s *service) {
	s.Status = registrationv1.APIServiceStatus{}
	if s.Spec.Service == nil {
		s.Status.Conditions = []registrationv1.APIServiceCondition{{
			Type: registrationv1.Available, Status: registrationv1.ConditionTrue, LastTransitionTime: metav1.Now(),
			Reason: "Local", Message: "Local APIServices are always available",
		}}
	}
}

func prepareStatus(s, old *service) {
	s.Spec = old.Spec
	metav1.ResetObjectMetaForStatus(&s.ObjectMeta, &old.ObjectMeta)
}

func host(s *service) string {
	if r := s.Spec.Service; r != nil {
		return r.Namespace + "/" + r.Name
	}
	return "Local"
}

// availability is "True", "False (MissingEndpoints)".
func availability(s *service) string {
	for _, c := range s.Status.Conditions {
		switch {
		case c.Type != registrationv1.Available:
		case c.Status == registrationv1.ConditionTrue || c.Reason == "":
			return string(c.Status)
		default:
			return fmt.Sprintf("%s (%s)", c.Status, c.Reason)
		}
	}
	return string(registrationv1.ConditionUnknown)
}
