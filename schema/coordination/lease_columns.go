package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var leaseColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Holder", coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"]),
	schema.AgeColumn(),
}

func leaseRow(obj schema.Object, now metav1.Time) []any {
	l := obj.(*coordinationv1.Lease)
	holder := ""
	if l.Spec.HolderIdentity != nil {
		holder = *l.Spec.HolderIdentity
	}
	return []any{l.Name, holder, schema.Age(l.CreationTimestamp, now)}
}
