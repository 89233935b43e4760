package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var resourceQuotaColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Request", "Request represents a minimum amount of cpu/memory that a container may consume."),
	schema.TextColumn("Limit", "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."),
	schema.AgeColumn(),
}

func resourceQuotaRow(obj schema.Object, now metav1.Time) []any {
	q := obj.(*corev1.ResourceQuota)
	var requests, limits []string
	for _, name := range sortedNames(q.Status.Hard) {
		used, hard := q.Status.Used[name], q.Status.Hard[name]
		text := fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
		if strings.HasPrefix(string(name), "limits.") {
			limits = append(limits, text)
		} else {
			requests = append(requests, text)
		}
	}
	return []any{q.Name, strings.Join(requests, ", "), strings.Join(limits, ", "), schema.Age(q.CreationTimestamp, now)}
}
