package openapi

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

// pathV2 writes the operations of one path for Swagger 2.0.
func (s *shared) pathV2(m *models, operations []operation) (object, error) {
	path, others := common(operations)
	item := object{}
	for i, o := range operations {
		var own []object
		if o.body != (model{}) {
			body := object{"name": "body", "in": "body", "schema": m.refTo(o.body)}
			if !o.optional {
				body["required"] = true
			}
			own = append(own, body)
		}
		for _, p := range others[i] {
			own = append(own, p.v2())
		}
		op := o.common()
		op["schemes"] = []string{"https"}
		op["produces"] = o.produces
		if o.consumes != nil {
			op["consumes"] = o.consumes
		}
		op["responses"] = o.responses(func(description string) object {
			return object{"description": description, "schema": o.returned(m)}
		})
		if err := s.set(op, own); err != nil {
			return nil, err
		}
		item[o.method] = op
	}
	var all []object
	for _, p := range path {
		all = append(all, p.v2())
	}
	return item, s.set(item, all)
}

func (p parameter) v2() object {
	o := object{"name": p.name, "in": p.in, "description": p.text, "uniqueItems": true, "type": p.kind}
	if p.in == "path" {
		o["required"] = true
	}
	return o
}

// shared are the parameters that a document has once, by name, and their names by content.
type shared struct {
	parameters object
	names      map[string]string
}

// set gives in, an operation or a path, its parameters: references to the shared ones but for those that clients look for in place.
func (s *shared) set(in object, parameters []object) error {
	var all []object
	for _, p := range parameters {
		name, err := s.name(p)
		if err != nil {
			return err
		}
		if name != "" {
			p = object{"$ref": "#/parameters/" + name}
		}
		all = append(all, p)
	}
	if len(all) > 0 {
		in["parameters"] = all
	}
	return nil
}

// name is that of a shared parameter; "": it is written where it is used. kubectl before 1.28 looks for dryRun and fieldValidation.
func (s *shared) name(p object) (string, error) {
	name := p["name"].(string)
	if body, ok := p["schema"].(object); ok && !strings.HasPrefix(body["$ref"].(string), "#/definitions/io.k8s.apimachinery") {
		return "", nil
	}
	if name == "name" || p["in"] == "query" && (name == "fieldValidation" || name == "dryRun") {
		return "", nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	if known := s.names[string(text)]; known != "" {
		return known, nil
	}
	var one spec.Parameter // its form is hashed
	if err := json.Unmarshal(text, &one); err != nil {
		return "", err
	}
	form, err := json.Marshal(one)
	if err != nil {
		return "", err
	}
	h := fnv.New64()
	h.Write(form)
	full := name + "-" + base64.RawURLEncoding.EncodeToString(h.Sum(nil))[:8]
	s.parameters[full], s.names[string(text)] = p, full
	return full, nil
}

// common is what both versions write of o alike.
func (o operation) common() object {
	all := object{"operationId": o.id, "description": o.text, "tags": []string{o.tag}}
	if o.action != "" {
		all["x-kubernetes-action"], all[gvkExtension] = o.action, gvkObject(o.gvk)
	}
	return all
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
	if o.returns == (model{}) {
		return object{"type": "string"}
	}
	return m.refTo(o.returns)
}
