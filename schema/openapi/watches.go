package openapi

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// watches adds the paths of watches from before ?watch=1.
func (c caller) watches(all map[string][]operation, base string) {
	event := typeModel[metav1.WatchEvent]()
	add := func(path, action, id, text string, parameters ...parameter) {
		o := c.operation("get", action, id, text)
		o.produces, o.returns = listBodies, event
		o.parameters = append(o.parameters, append(parameters, listParameters()...)...)
		all[path] = []operation{o}
	}
	const many, one = ". deprecated: use the 'watch' parameter with a list operation instead", ", filtered to a single item with the 'fieldSelector' parameter."
	list := "watch individual changes to a list of " + c.v.Kind + many + "."
	object := "watch changes to an object of kind " + c.v.Kind + many + one
	collection := base + "/watch/" + c.plural
	if c.in != nil {
		add(collection, "watchlist", c.id("watch", c.v.Kind, "ListForAllNamespaces"), list)
		all[collection][0].parameters = append([]parameter{prettyParameter}, listParameters()...)
		collection = base + "/watch/namespaces/{namespace}/" + c.plural
	}
	add(collection, "watchlist", c.id("watch", c.word, "List"), list)
	add(collection+"/{name}", "watch", c.id("watch", c.word, ""), object, nameParameter(c.v.Kind))
}
