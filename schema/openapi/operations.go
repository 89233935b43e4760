package openapi

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/schema"
)

// operation is one method of one path, before it is written in either version.
type operation struct {
	method string // "get"
	action string // x-kubernetes-action: "get", "list", "post", "put", "patch", "delete", "deletecollection", "connect"
	id     string
	text   string
	tag    string
	gvk    kschema.GroupVersionKind // of the kind the path is about
	item   reflect.Type             // its Go type, nil where it is no object with a Go type of ours
	list   reflect.Type             // of the list's; nil where gvk has none

	body     reflect.Type // nil: none
	optional bool         // the body may be left out
	consumes []string
	produces []string
	returns  reflect.Type // nil: a text
	created  bool         // may answer 201
	accepted bool         // may answer 202
	query    []parameter
	path     []parameter
}

// objectBodies are what objects are read and written in.
var (
	objectBodies = []string{"application/json", "application/yaml"}
	patchBodies  = []string{"application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"}
)

// operationsOf are the operations of a resource by path.
func operationsOf(r Resource) map[string][]operation {
	k := r.Kind
	base := "/" + groupPath(r.Version)
	collection := base + "/" + k.Plural
	word := r.Version.Kind
	var in []parameter
	if k.Namespaced {
		collection, word, in = base+"/namespaces/{namespace}/"+k.Plural, "Namespaced"+word, []parameter{namespaceParameter}
	}
	c := caller{verbs: r.Verbs, v: r.Version, prefix: idPrefix(r.Version), word: word}
	item := append([]parameter{nameParameter}, in...)
	all := map[string][]operation{
		collection:             with(in, c.having("list", c.list("")), c.having("create", c.create()), c.having("deletecollection", c.deleteCollection())),
		collection + "/{name}": with(item, c.having("get", c.get()), c.having("update", c.put()), c.having("patch", c.patch()), c.having("delete", c.delete())),
	}
	if k.Namespaced && slices.Contains(r.Verbs, "list") {
		everywhere := c
		everywhere.word = r.Version.Kind
		all[base+"/"+k.Plural] = with(nil, everywhere.list("ForAllNamespaces"))
	}
	for _, s := range r.Subresources {
		at := collection + "/{name}/" + s.Name
		all[at] = with(item, c.subresource(s)...)
		if s.Proxied {
			below := with(append(item[:len(item):len(item)], pathParameter), c.subresource(s)...)
			for i := range below {
				below[i].id += "WithPath"
				below[i].query = nil
			}
			all[at+"/{path}"] = below
		}
	}
	maps.DeleteFunc(all, func(_ string, o []operation) bool { return len(o) == 0 })
	return all
}

// having is o where the verb is served, else the zero operation.
func (c caller) having(verb string, o operation) operation {
	if !slices.Contains(c.verbs, verb) {
		return operation{}
	}
	return o
}

// with gives the operations of a path, but for those that are zero, its parameters.
func with(path []parameter, operations ...operation) []operation {
	operations = slices.DeleteFunc(operations, func(o operation) bool { return o.method == "" })
	for i := range operations {
		operations[i].path = path
	}
	return operations
}

// idPrefix is the group and version in operation ids: "CoreV1", "CoordinationV1".
func idPrefix(v *schema.Version) string { return title(groupWord(v)) + title(v.Version) }

func groupWord(v *schema.Version) string {
	if v.Group == "" {
		return "core"
	}
	word, _, _ := strings.Cut(v.Group, ".")
	return word
}

func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// caller makes the operations of one kind in one version.
type caller struct {
	v            *schema.Version
	verbs        []string
	prefix, word string
}

func (c caller) operation(method, action, verb, text string) operation {
	item := deref(c.v.Type())
	var list reflect.Type
	if c.v.NewList != nil {
		list = deref(reflect.TypeOf(c.v.NewList()))
	}
	return operation{
		method: method, action: action, id: verb + c.prefix + c.word, text: text,
		tag: groupWord(c.v) + "_" + c.v.Version, gvk: c.v.GVK(), item: item, list: list,
		produces: objectBodies, returns: item,
	}
}

func (c caller) get() operation {
	return c.operation("get", "get", "read", "read the specified "+c.v.Kind)
}

func (c caller) list(suffix string) operation {
	o := c.operation("get", "list", "list", "list or watch objects of kind "+c.v.Kind)
	o.id += suffix
	o.returns = o.list
	o.produces = append(objectBodies[:2:2], "application/json;stream=watch")
	o.query = listParameters
	return o
}

func (c caller) create() operation {
	o := c.operation("post", "post", "create", "create "+article(c.v.Kind))
	o.body, o.consumes, o.query, o.created, o.accepted = o.item, objectBodies, writeParameters, true, true
	return o
}

func (c caller) put() operation {
	o := c.operation("put", "put", "replace", "replace the specified "+c.v.Kind)
	o.body, o.consumes, o.query, o.created = o.item, objectBodies, writeParameters, true
	return o
}

func (c caller) patch() operation {
	o := c.operation("patch", "patch", "patch", "partially update the specified "+c.v.Kind)
	o.body, o.consumes, o.query, o.created = reflect.TypeFor[metav1.Patch](), patchBodies, patchParameters, true
	return o
}

func (c caller) delete() operation {
	o := c.operation("delete", "delete", "delete", "delete "+article(c.v.Kind))
	o.body, o.optional, o.consumes, o.query, o.accepted = reflect.TypeFor[metav1.DeleteOptions](), true, objectBodies, deleteParameters, true
	o.returns = reflect.TypeFor[metav1.Status]()
	return o
}

func (c caller) deleteCollection() operation {
	o := c.operation("delete", "deletecollection", "delete", "delete collection of "+c.v.Kind)
	o.id = "delete" + c.prefix + "Collection" + c.word
	o.body, o.optional, o.consumes = reflect.TypeFor[metav1.DeleteOptions](), true, objectBodies
	o.query = append(deleteParameters[:len(deleteParameters):len(deleteParameters)], collectionParameters...)
	o.returns = reflect.TypeFor[metav1.Status]()
	return o
}

var methods = map[string]func(caller) operation{
	"get": caller.get, "create": caller.create, "update": caller.put, "patch": caller.patch, "delete": caller.delete,
}

func (c caller) subresource(s schema.Subresource) []operation {
	var all []operation
	if s.Proxied {
		for _, method := range []string{"head", "options"} {
			o := c.operation(method, "connect", "", "connect "+strings.ToUpper(method)+" requests to "+s.Name+" of "+c.v.Kind)
			c.connect(&o, s, deref(reflect.TypeOf(s.Options())))
			all = append(all, o)
		}
	}
	for _, verb := range s.Verbs {
		method, ok := methods[verb]
		if !ok {
			continue
		}
		o := method(c)
		o.id += title(s.Name)
		o.text = strings.Replace(o.text, " "+c.v.Kind, " "+s.Name+" of the specified "+c.v.Kind, 1)
		o.text = strings.Replace(o.text, "the specified "+s.Name, s.Name, 1)
		if s.Options != nil {
			c.connect(&o, s, deref(reflect.TypeOf(s.Options())))
		} else {
			c.typed(&o, s)
		}
		all = append(all, o)
	}
	return all
}

// connect makes o a stream or a text, asked for by query.
func (c caller) connect(o *operation, s schema.Subresource, query reflect.Type) {
	o.body, o.consumes, o.returns, o.created, o.accepted = nil, nil, nil, false, false
	o.query, o.produces = queryParameters(query), []string{"*/*"}
	if s.Body == nil {
		o.produces = []string{"text/plain"}
		return
	}
	o.action = "connect"
	o.id = "connect" + title(o.method) + c.prefix + c.word + title(s.Name)
	o.gvk, o.item, o.list = s.Body.GVK(), nil, nil
}

// typed gives o the type of the subresource's kind where that is not the parent's.
func (c caller) typed(o *operation, s schema.Subresource) {
	if s.Body == nil {
		return
	}
	t := deref(s.Body.Type())
	o.gvk = s.Body.GVK()
	if o.body == o.item {
		o.body = t
	}
	o.item, o.list, o.returns = t, nil, t
}

func article(kind string) string {
	if strings.ContainsAny(kind[:1], "AEIOU") {
		return "an " + kind
	}
	return "a " + kind
}
