package openapi

// pathV3 writes the operations of one path for OpenAPI 3.0.
func pathV3(m *models, operations []operation) object {
	item := object{}
	for _, o := range operations {
		o.register(m)
		op := o.common()
		if len(o.query) > 0 {
			var parameters []any
			for _, p := range o.query {
				parameters = append(parameters, p.v3("query"))
			}
			op["parameters"] = parameters
		}
		if o.body != nil {
			op["requestBody"] = object{"required": !o.optional, "content": contentV3(o.consumes, m.ref(o.body))}
		}
		op["responses"] = o.responses(func(description string) object {
			return object{"description": description, "content": contentV3(o.produces, o.returned(m))}
		})
		item[o.method] = op
		item["parameters"] = pathParameters(o.path, parameter.v3)
	}
	return item
}

func (p parameter) v3(in string) object {
	s := object{"type": p.kind, "uniqueItems": true}
	if p.many {
		s = object{"type": "array", "items": object{"type": p.kind}}
	}
	return object{"name": p.name, "in": in, "description": p.text, "schema": s}
}

func contentV3(types []string, s object) object {
	content := object{}
	for _, t := range types {
		content[t] = object{"schema": s}
	}
	return content
}
