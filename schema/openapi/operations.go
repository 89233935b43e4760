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
	item   model                    // of its objects; the zero value where it is no object

	body     model // the zero value: none
	optional bool  // the body may be left out
	consumes []string
	produces []string
	returns  model // the zero value: a text
	created  bool  // may answer 201
	accepted bool  // may answer 202

	parameters []parameter
}

// objectBodies are what objects are read in, listBodies what lists and watches are.
var (
	anyBody      = []string{"*/*"}
	objectBodies = []string{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}
	listBodies   = append(objectBodies[:3:3], "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
	patchBodies  = []string{"application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"}

	customBodies  = objectBodies[:2:2]
	customPatches = []string{"application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"}
)

// operationsOf are the operations of a resource by path.
func operationsOf(r Resource) map[string][]operation {
	k := r.Kind
	base := "/" + GroupPath(r.Version)
	collection := base + "/" + k.Plural
	c := caller{v: r.Version, verbs: r.Verbs, plural: k.Plural, word: r.Version.Kind, deleted: k.ReturnsDeleted && k.Plural != "namespaces"}
	if k.Namespaced {
		collection, c.word, c.in = base+"/namespaces/{namespace}/"+k.Plural, "Namespaced"+r.Version.Kind, []parameter{namespaceParameter}
	}
	all := map[string][]operation{
		collection:             served(c.having("list", c.list("")), c.having("create", c.create()), c.having("deletecollection", c.deleteCollection())),
		collection + "/{name}": served(c.having("get", c.get()), c.having("update", c.put()), c.having("patch", c.patch()), c.having("delete", c.delete())),
	}
	if k.Namespaced && slices.Contains(r.Verbs, "list") {
		everywhere := c
		everywhere.word, everywhere.in = r.Version.Kind, nil
		all[base+"/"+k.Plural] = []operation{everywhere.list("ForAllNamespaces")}
	}
	if slices.Contains(r.Verbs, "watch") && !r.Version.IsUnstructured() { // Kubernetes has no such paths of custom kinds
		c.watches(all, base)
	}
	for _, s := range r.Subresources {
		at := collection + "/{name}/" + s.Name
		all[at] = c.subresource(s)
		if s.Proxied {
			below := c.subresource(s)
			for i := range below {
				below[i].id += "WithPath"
				below[i].parameters = append(below[i].parameters, pathParameter)
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

// served are the operations but for those that are zero.
func served(operations ...operation) []operation {
	return slices.DeleteFunc(operations, func(o operation) bool { return o.method == "" })
}

// groupWord is a group in tags: "core", "apps", "rbacAuthorization".
func groupWord(group string) string {
	if group == "" {
		return "core"
	}
	words := strings.Split(strings.TrimSuffix(group, ".k8s.io"), ".")
	for i := range words[1:] {
		words[i+1] = title(words[i+1])
	}
	return strings.Join(words, "")
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
	plural, word string      // word is the kind in ids: "NamespacedPod"
	in           []parameter // of the paths: the namespace, if any
	deleted      bool        // a deletion answers with the object; that of namespaces does too, but upstream says Status
}

// id is the id of an operation: "readCoreV1NamespacedPodStatus". verb may end in a word that stands after the version.
func (c caller) id(verb, word, suffix string) string {
	verb, more, _ := strings.Cut(verb, " ")
	return verb + title(groupWord(c.v.Group)) + title(c.v.Version) + more + word + suffix
}

func (c caller) operation(method, action, id, text string) operation {
	item := modelOf(c.v)
	return operation{
		method: method, action: action, id: id, text: text,
		tag: groupWord(c.v.Group) + "_" + c.v.Version, gvk: c.v.GVK(), item: item,
		consumes: c.anyBody(), produces: c.objectBodies(), returns: item,
		parameters: append([]parameter{prettyParameter}, c.in...),
	}
}

// objectBodies are what objects are written in.
func (c caller) objectBodies() []string {
	if c.v.IsUnstructured() {
		return customBodies
	}
	return objectBodies
}

// anyBody is what objects are read in. Of custom kinds, documents say it.
func (c caller) anyBody() []string {
	if c.v.IsUnstructured() {
		return customBodies
	}
	return anyBody
}

// object is an operation on one object.
func (c caller) object(method, verb, text string) operation {
	o := c.operation(method, method, c.id(verb, c.word, ""), text)
	o.parameters = append(o.parameters, nameParameter(c.v.Kind))
	return o
}

func (c caller) get() operation {
	o := c.object("get", "read", "read the specified "+c.v.Kind)
	if c.v.IsUnstructured() {
		o.parameters = append(o.parameters, getParameters()...)
	}
	return o
}

func (c caller) list(suffix string) operation {
	text := "list objects of kind " + c.v.Kind
	if slices.Contains(c.verbs, "watch") && !c.v.IsUnstructured() {
		text = "list or watch objects of kind " + c.v.Kind
	}
	o := c.operation("get", "list", c.id("list", c.word, suffix), text)
	if c.v.NewList != nil {
		o.returns = listModelOf(c.v, c.plural)
	}
	o.produces = listBodies
	if c.v.IsUnstructured() {
		o.produces = customBodies
	}
	o.parameters = append(o.parameters, listParameters()...)
	return o
}

func (c caller) create() operation {
	o := c.operation("post", "post", c.id("create", c.word, ""), "create "+article(c.v.Kind))
	o.body, o.created, o.accepted = o.item, true, true
	o.parameters = append(o.parameters, createParameters()...)
	return o
}

func (c caller) put() operation {
	o := c.object("put", "replace", "replace the specified "+c.v.Kind)
	o.body, o.created = o.item, true
	o.parameters = append(o.parameters, updateParameters()...)
	return o
}

func (c caller) patch() operation {
	o := c.object("patch", "patch", "partially update the specified "+c.v.Kind)
	o.body, o.consumes, o.created = typeModel[metav1.Patch](), patchBodies, true
	if c.v.IsUnstructured() {
		o.consumes, o.created = customPatches, false
	}
	o.parameters = append(o.parameters, patchParameters()...)
	return o
}

func (c caller) delete() operation {
	o := c.object("delete", "delete", "delete "+article(c.v.Kind))
	o.body, o.optional, o.accepted = typeModel[metav1.DeleteOptions](), true, true
	o.parameters = append(o.parameters, deleteParameters()...)
	if !c.deleted {
		o.returns = typeModel[metav1.Status]()
	}
	return o
}

func (c caller) deleteCollection() operation {
	o := c.operation("delete", "deletecollection", c.id("delete Collection", c.word, ""), "delete collection of "+c.v.Kind)
	o.body, o.optional = typeModel[metav1.DeleteOptions](), true
	o.parameters = append(o.parameters, collectionParameters()...)
	if c.v.IsUnstructured() { // Kubernetes describes it as a list
		o.body, o.parameters = model{}, append(append([]parameter{prettyParameter}, c.in...), listParameters()...)
	}
	o.returns = typeModel[metav1.Status]()
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
			o.naming()
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
		o.text = strings.Replace(o.text, " the specified ", " "+s.Name+" of the specified ", 1)
		if verb == "create" {
			o.text = "create " + s.Name + " of " + article(c.v.Kind)
			o.parameters = append(o.parameters, nameParameter(c.v.Kind))
		}
		if s.Options != nil {
			c.connect(&o, s, deref(reflect.TypeOf(s.Options())))
		} else {
			bodyOf(&o, s)
		}
		o.naming()
		all = append(all, o)
	}
	return all
}

// naming says of what kind the object is that the path names.
func (o *operation) naming() {
	for i, p := range o.parameters {
		if p.name == "name" && p.in == "path" {
			o.parameters[i] = nameParameter(o.gvk.Kind)
		}
	}
}

// connect makes o a stream or a text, asked for by query.
func (c caller) connect(o *operation, s schema.Subresource, query reflect.Type) {
	o.body, o.returns, o.created, o.accepted = model{}, model{}, false, false
	o.parameters = append([]parameter{nameParameter("")}, c.in...)
	o.parameters = append(o.parameters, queryParameters(query)...)
	if s.Body == nil {
		o.produces = append([]string{"text/plain"}, objectBodies...)
		o.parameters = append(o.parameters, prettyParameter)
		return
	}
	o.consumes, o.produces, o.action = anyBody, anyBody, "connect"
	o.id = c.id("connect "+title(o.method), c.word, title(s.Name))
	o.text = "connect " + strings.ToUpper(o.method) + " requests to " + s.Name + " of " + c.v.Kind
	o.gvk, o.item = s.Body.GVK(), model{}
}

// bodyOf gives o the type of the subresource's kind where that is not the parent's.
func bodyOf(o *operation, s schema.Subresource) {
	if s.Body == nil {
		return
	}
	m := modelOf(s.Body)
	if o.item.custom == nil {
		o.gvk = s.Body.GVK()
	}
	if o.body == o.item {
		o.body = m
	}
	o.item, o.returns = m, m
}

// article is a kind with its article, which plurals do not have.
func article(kind string) string {
	switch {
	case strings.HasSuffix(kind, "s") && !strings.HasSuffix(kind, "ss"):
		return kind
	case strings.ContainsAny(kind[:1], "AEIOU"):
		return "an " + kind
	}
	return "a " + kind
}
