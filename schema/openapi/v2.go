package openapi

import "reflect"

// pathV2 writes the operations of one path for Swagger 2.0.
func pathV2(m *models, operations []operation) object {
	item := object{}
	for _, o := range operations {
		o.register(m)
		parameters := []any{}
		if o.body != nil {
			parameters = append(parameters, object{"name": "body", "in": "body", "required": !o.optional, "schema": m.ref(o.body)})
		}
		for _, p := range o.query {
			parameters = append(parameters, p.v2("query"))
		}
		op := o.common()
		op["schemes"] = []string{"https"}
		op["produces"] = o.produces
		op["parameters"] = parameters
		op["responses"] = o.responses(func(description string) object {
			return object{"description": description, "schema": o.returned(m)}
		})
		if o.consumes != nil {
			op["consumes"] = o.consumes
		} else {
			op["consumes"] = []string{"*/*"}
		}
		item[o.method] = op
		item["parameters"] = pathParameters(o.path, parameter.v2)
	}
	return item
}

func pathParameters(path []parameter, write func(p parameter, in string) object) []any {
	var all []any
	for _, p := range path {
		o := write(p, "path")
		o["required"] = true
		all = append(all, o)
	}
	return append(all, write(prettyParameter, "query"))
}

func (p parameter) v2(in string) object {
	o := object{"name": p.name, "in": in, "description": p.text, "uniqueItems": true, "type": p.kind}
	if p.many {
		o["type"], o["items"], o["collectionFormat"] = "array", object{"type": p.kind}, "multi"
		delete(o, "uniqueItems")
	}
	return o
}

// register marks the models of o's kinds as bodies of kinds.
func (o operation) register(m *models) {
	if o.item != nil {
		m.kind(o.item, o.gvk)
	}
	if o.list != nil {
		list := o.gvk
		list.Kind = o.list.Name()
		m.kind(o.list, list)
	}
	for _, t := range []reflect.Type{o.body, o.returns} {
		switch {
		case t == nil:
		case t.Name() == "DeleteOptions":
			options := o.gvk
			options.Kind = "DeleteOptions"
			m.kind(t, options)
		case t.Name() == "Status":
			options := o.gvk
			options.Group, options.Version, options.Kind = "", "v1", "Status"
			m.kind(t, options)
		}
	}
}

// common is what both versions write of o alike.
func (o operation) common() object {
	return object{
		"operationId":         o.id,
		"description":         o.text,
		"tags":                []string{o.tag},
		"x-kubernetes-action": o.action,
		gvkExtension:          gvkObject(o.gvk),
	}
}

// responses are those of o, each written by write.
func (o operation) responses(write func(description string) object) object {
	all := object{"200": write("OK"), "401": object{"description": "Unauthorized"}}
	if o.created {
		all["201"] = write("Created")
	}
	if o.accepted {
		all["202"] = write("Accepted")
	}
	return all
}

func (o operation) returned(m *models) object {
	if o.returns == nil {
		return object{"type": "string"}
	}
	return m.ref(o.returns)
}
