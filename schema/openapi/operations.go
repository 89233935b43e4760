package openapi

import (
	"reflect"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
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

// operationsOf are the operations of a kind by path.
func operationsOf(k *schema.Kind) map[string][]operation {
	base := "/" + groupPath(k)
	collection := base + "/" + k.Plural
	word := k.Kind
	var in []parameter
	if k.Namespaced {
		collection, word, in = base+"/namespaces/{namespace}/"+k.Plural, "Namespaced"+k.Kind, []parameter{namespaceParameter}
	}
	c := caller{k: k, prefix: idPrefix(k), word: word}
	item := append([]parameter{nameParameter}, in...)
	all := map[string][]operation{
		collection:             with(in, c.list(""), c.create(), c.deleteCollection()),
		collection + "/{name}": with(item, c.get(), c.put(), c.patch(), c.delete()),
	}
	if k.Namespaced {
		everywhere := c
		everywhere.word = k.Kind
		all[base+"/"+k.Plural] = with(nil, everywhere.list("ForAllNamespaces"))
	}
	for _, s := range k.Subresources {
		all[collection+"/{name}/"+s.Name] = with(item, c.subresource(s)...)
	}
	return all
}

func with(path []parameter, operations ...operation) []operation {
	for i := range operations {
		operations[i].path = path
	}
	return operations
}

// idPrefix is the group and version in operation ids: "CoreV1", "CoordinationV1".
func idPrefix(k *schema.Kind) string { return title(groupWord(k)) + title(k.Version) }

func groupWord(k *schema.Kind) string {
	if k.Group == "" {
		return "core"
	}
	word, _, _ := strings.Cut(k.Group, ".")
	return word
}

func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// caller makes the operations of one kind.
type caller struct {
	k            *schema.Kind
	prefix, word string
}

func (c caller) operation(method, action, verb, text string) operation {
	item := deref(c.k.Type())
	return operation{
		method: method, action: action, id: verb + c.prefix + c.word, text: text,
		tag: groupWord(c.k) + "_" + c.k.Version, gvk: c.k.GVK(), item: item, list: deref(reflect.TypeOf(c.k.NewList())),
		produces: objectBodies, returns: item,
	}
}

func (c caller) get() operation {
	return c.operation("get", "get", "read", "read the specified "+c.k.Kind)
}

func (c caller) list(suffix string) operation {
	o := c.operation("get", "list", "list", "list or watch objects of kind "+c.k.Kind)
	o.id += suffix
	o.returns = o.list
	o.produces = append(objectBodies[:2:2], "application/json;stream=watch")
	o.query = listParameters
	return o
}

func (c caller) create() operation {
	o := c.operation("post", "post", "create", "create "+article(c.k.Kind))
	o.body, o.consumes, o.query, o.created, o.accepted = o.item, objectBodies, writeParameters, true, true
	return o
}

func (c caller) put() operation {
	o := c.operation("put", "put", "replace", "replace the specified "+c.k.Kind)
	o.body, o.consumes, o.query, o.created = o.item, objectBodies, writeParameters, true
	return o
}

func (c caller) patch() operation {
	o := c.operation("patch", "patch", "patch", "partially update the specified "+c.k.Kind)
	o.body, o.consumes, o.query, o.created = reflect.TypeFor[metav1.Patch](), patchBodies, patchParameters, true
	return o
}

func (c caller) delete() operation {
	o := c.operation("delete", "delete", "delete", "delete "+article(c.k.Kind))
	o.body, o.optional, o.consumes, o.query, o.accepted = reflect.TypeFor[metav1.DeleteOptions](), true, objectBodies, deleteParameters, true
	o.returns = reflect.TypeFor[metav1.Status]()
	return o
}

func (c caller) deleteCollection() operation {
	o := c.operation("delete", "deletecollection", "delete", "delete collection of "+c.k.Kind)
	o.id = "delete" + c.prefix + "Collection" + c.word
	o.body, o.optional, o.consumes = reflect.TypeFor[metav1.DeleteOptions](), true, objectBodies
	o.query = append(deleteParameters[:len(deleteParameters):len(deleteParameters)], collectionParameters...)
	o.returns = reflect.TypeFor[metav1.Status]()
	return o
}

// bodies are the kinds of subresources that are objects.
var bodies = map[string]reflect.Type{
	"Binding":      reflect.TypeFor[corev1.Binding](),
	"Scale":        reflect.TypeFor[autoscalingv1.Scale](),
	"Eviction":     reflect.TypeFor[policyv1.Eviction](),
	"TokenRequest": reflect.TypeFor[authenticationv1.TokenRequest](),
}

// options are the queries of subresources that are connections or texts.
var options = map[string]reflect.Type{
	"log":         reflect.TypeFor[corev1.PodLogOptions](),
	"exec":        reflect.TypeFor[corev1.PodExecOptions](),
	"attach":      reflect.TypeFor[corev1.PodAttachOptions](),
	"portforward": reflect.TypeFor[corev1.PodPortForwardOptions](),
	"proxy":       reflect.TypeFor[corev1.PodProxyOptions](),
}

var methods = map[string]func(caller) operation{
	"get": caller.get, "create": caller.create, "update": caller.put, "patch": caller.patch, "delete": caller.delete,
}

func (c caller) subresource(s schema.Subresource) []operation {
	var all []operation
	for _, verb := range s.Verbs {
		method, ok := methods[verb]
		if !ok {
			continue
		}
		o := method(c)
		o.id += title(s.Name)
		o.text = strings.Replace(o.text, " "+c.k.Kind, " "+s.Name+" of the specified "+c.k.Kind, 1)
		o.text = strings.Replace(o.text, "the specified "+s.Name, s.Name, 1)
		if query := options[s.Name]; query != nil {
			c.connect(&o, s, query)
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
	if s.Name == "log" {
		o.produces = []string{"text/plain"}
		return
	}
	o.action = "connect"
	o.id = "connect" + title(o.method) + c.prefix + c.word + title(s.Name)
	o.gvk, o.item, o.list = kschema.GroupVersionKind{Version: "v1", Kind: query.Name()}, nil, nil
}

// typed gives o the type of the subresource's kind where that is not the parent's.
func (c caller) typed(o *operation, s schema.Subresource) {
	t := bodies[s.Kind]
	if t == nil {
		return
	}
	o.gvk = kschema.GroupVersionKind{Group: c.k.Group, Version: c.k.Version, Kind: s.Kind}
	if s.Version != "" {
		o.gvk.Group, o.gvk.Version = s.Group, s.Version
	}
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
