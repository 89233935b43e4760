package openapi

// pathV3 writes the operations of one path for OpenAPI 3.0.
func pathV3(m *models, operations []operation) object {
	path, others := common(operations)
	item := object{}
	for i, o := range operations {
		op := o.common()
		setV3(op, others[i])
		if o.body != (model{}) {
			body := object{"content": contentV3(o.consumes, m.refTo(o.body))}
			if !o.optional {
				body["required"] = true
			}
			op["requestBody"] = body
		}
		op["responses"] = o.responses(func(description string) object {
			return object{"description": description, "content": contentV3(o.produces, o.returned(m))}
		})
		item[o.method] = op
	}
	setV3(item, path)
	return item
}

func setV3(in object, parameters []parameter) {
	var all []object
	for _, p := range parameters {
		o := object{"name": p.name, "in": p.in, "description": p.text, "schema": object{"type": p.kind, "uniqueItems": true}}
		if p.in == "path" {
			o["required"] = true
		}
		all = append(all, o)
	}
	if len(all) > 0 {
		in["parameters"] = all
	}
}

func contentV3(types []string, s object) object {
	content := object{}
	for _, t := range types {
		content[t] = object{"schema": s}
	}
	return content
}
