package discovery

import (
	"fmt"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema"
)

var endpointSliceColumns = []metav1.TableColumnDefinition{
	schema.NameColumn(),
	schema.TextColumn("AddressType", discoveryv1.EndpointSlice{}.SwaggerDoc()["addressType"]),
	schema.TextColumn("Ports", discoveryv1.EndpointSlice{}.SwaggerDoc()["ports"]),
	schema.TextColumn("Endpoints", discoveryv1.EndpointSlice{}.SwaggerDoc()["endpoints"]),
	schema.AgeColumn(),
}

func endpointSliceRow(obj schema.Object, now metav1.Time) []any {
	s := obj.(*discoveryv1.EndpointSlice)
	var addresses []string
	for _, e := range s.Endpoints {
		addresses = append(addresses, e.Addresses...)
	}
	return []any{s.Name, string(s.AddressType), firstFew(portTexts(s.Ports)), firstFew(addresses), schema.Age(s.CreationTimestamp, now)}
}

func portTexts(all []discoveryv1.EndpointPort) []string {
	texts := make([]string, len(all))
	for i, p := range all {
		switch {
		case p.Port != nil:
			texts[i] = strconv.Itoa(int(*p.Port))
		case p.Name != nil:
			texts[i] = *p.Name
		default:
			texts[i] = "*"
		}
	}
	return texts
}

// firstFew is the first three of all and the count of the rest: "a,b,c + 2 more...".
func firstFew(all []string) string {
	const shown = 3
	switch {
	case len(all) == 0:
		return "<unset>"
	case len(all) > shown:
		return fmt.Sprintf("%s + %d more...", strings.Join(all[:shown], ","), len(all)-shown)
	}
	return strings.Join(all, ",")
}
