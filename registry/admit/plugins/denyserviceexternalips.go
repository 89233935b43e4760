package plugins

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"gantry/registry/admit"
)

// denyServiceExternalIPs refuses new external IPs of Services: who may create Services could take the traffic of any address by one (CVE-2020-8554).
func denyServiceExternalIPs() admit.Rule {
	return admit.Rule{
		Name: "DenyServiceExternalIPs", Doc: "Services get no external IPs that they do not have",
		Wants: admit.Resource("services", admit.Create, admit.Update), Validate: checkExternalIPs,
	}
}

func checkExternalIPs(_ context.Context, _ admit.Reader, q *admit.Request) error {
	var had []string
	if old, ok := q.Old.(*corev1.Service); ok {
		had = old.Spec.ExternalIPs
	}
	for _, ip := range q.Object.(*corev1.Service).Spec.ExternalIPs {
		if !slices.Contains(had, ip) {
			return &admit.Denied{Reason: "Use of external IPs is denied by admission control"}
		}
	}
	return nil
}
