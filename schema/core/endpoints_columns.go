package core

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var endpointsColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("Endpoints", corev1.Endpoints{}.SwaggerDoc()["subsets"]),
	schema.AgeColumn(),
}

func endpointsRow(obj schema.Object, now metav1.Time) []any {
	e := obj.(*corev1.Endpoints)
	return []any{e.Name, endpointTexts(e.Subsets), schema.Age(e.CreationTimestamp, now)}
}

// shownEndpoints is how many addresses a cell lists before it counts the others.
const shownEndpoints = 3

// endpointTexts is "10.0.0.1:80,10.0.0.2:80 + 4 more...".
func endpointTexts(all []corev1.EndpointSubset) string {
	if len(all) == 0 {
		return schema.Unset
	}
	var shown []string
	count := 0
	show := func(text string) {
		if count++; count <= shownEndpoints {
			shown = append(shown, text)
		}
	}
	for i := range all {
		s := &all[i]
		if len(s.Ports) == 0 { // a headless service may have none
			for _, a := range s.Addresses {
				show(a.IP)
			}
		}
		for _, p := range s.Ports {
			for _, a := range s.Addresses {
				show(net.JoinHostPort(a.IP, strconv.Itoa(int(p.Port))))
			}
		}
	}
	text := strings.Join(shown, ",")
	if count > shownEndpoints {
		return fmt.Sprintf("%s + %d more...", text, count-shownEndpoints)
	}
	return text
}
