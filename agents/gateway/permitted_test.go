package gateway_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"gantry/agents/gateway"
	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/request"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/patch"
)

// reached is one thing that a handler asked of the registry.
type reached struct {
	do, plural, namespace, name, subresource, fields string
}

// spy notes what is permitted and what is touched. Reads of single objects are answered; nothing is written.
type spy struct {
	gateway.Objects
	granted []authorize.Attributes
	touched []reached
	deny    bool
}

func (s *spy) Authorize(_ context.Context, a authorize.Attributes) (authorize.Decision, string, error) {
	if s.deny {
		return authorize.NoOpinion, "", nil
	}
	s.granted = append(s.granted, a)
	return authorize.Allowed, "", nil
}

// Rules are not asked for.
func (s *spy) Rules(context.Context, authenticationv1.UserInfo, string) (authorize.Rules, error) {
	return authorize.Rules{}, nil
}

func (s *spy) note(do string, k *schema.Kind, namespace, name, subresource, fields string) error {
	s.touched = append(s.touched, reached{do, k.Plural, namespace, name, subresource, fields})
	return &registry.Error{Kind: registry.Conflict, Resource: k.Plural, Name: name}
}

func (s *spy) Get(ctx context.Context, k *schema.Kind, namespace, name, revision string) (*registry.Item, error) {
	_ = s.note("get", k, namespace, name, "", "")
	return s.Objects.Get(ctx, k, namespace, name, revision)
}

func (s *spy) List(_ context.Context, k *schema.Kind, namespace string, o registry.ListOptions) (registry.List, error) {
	return registry.List{}, s.note("list", k, namespace, "", "", o.Fields)
}

func (s *spy) Watch(_ context.Context, k *schema.Kind, namespace string, o registry.WatchOptions) (*registry.Watcher, error) {
	return nil, s.note("watch", k, namespace, "", "", o.Fields)
}

func (s *spy) Create(_ context.Context, k *schema.Kind, obj schema.Object, o registry.WriteOptions) (*registry.Item, error) {
	return nil, s.note("create", k, obj.GetNamespace(), obj.GetName(), o.Subresource, "")
}

// Update also does what the registry does where a kind is created by an update and the object is absent.
func (s *spy) Update(_ context.Context, k *schema.Kind, obj schema.Object, o registry.WriteOptions) (*registry.Item, error) {
	err := s.note("update", k, obj.GetNamespace(), obj.GetName(), o.Subresource, "")
	if k.CreateOnUpdate && o.Subresource == "" && (o.Create == nil || o.Create() == nil) {
		return nil, s.note("create", k, obj.GetNamespace(), obj.GetName(), "", "")
	}
	return nil, err
}

func (s *spy) Modify(_ context.Context, k *schema.Kind, namespace, name string, _ func(schema.Object) (schema.Object, error), _ registry.WriteOptions) (*registry.Item, error) {
	return nil, s.note("scale", k, namespace, name, "scale", "")
}

func (s *spy) Patch(_ context.Context, k *schema.Kind, namespace, name string, _ func(*registry.Item) (schema.Object, error), o registry.WriteOptions) (*registry.Item, error) {
	return nil, s.note("patch", k, namespace, name, o.Subresource, "")
}

// Apply also does what the registry does where the object is absent.
func (s *spy) Apply(_ context.Context, k *schema.Kind, namespace, name string, _ registry.Application, o registry.WriteOptions) (*registry.Item, bool, error) {
	err := s.note("patch", k, namespace, name, o.Subresource, "")
	if o.Subresource == "" && (o.Create == nil || o.Create() == nil) {
		return nil, false, s.note("create", k, namespace, name, "", "")
	}
	return nil, false, err
}

func (s *spy) Delete(_ context.Context, k *schema.Kind, namespace, name string, _ registry.DeleteOptions) (*registry.Item, bool, error) {
	return nil, false, s.note("delete", k, namespace, name, "", "")
}

func (s *spy) DeleteCollection(_ context.Context, k *schema.Kind, namespace string, _ registry.DeleteOptions, l registry.ListOptions) (registry.List, error) {
	return registry.List{}, s.note("deletecollection", k, namespace, "", "", l.Fields)
}

func (s *spy) Bind(_ context.Context, namespace, name string, _ *corev1.Binding, _ registry.WriteOptions) (*registry.Item, error) {
	s.touched = append(s.touched, reached{"bind", "pods", namespace, name, "binding", ""})
	return nil, &registry.Error{Kind: registry.Conflict, Resource: "pods", Name: name}
}

func (s *spy) Admit(_ context.Context, _ admit.Operation, k *schema.Kind, namespace, name string, _ runtime.Object, check func() error, o registry.WriteOptions) error {
	_ = s.note("admit", k, namespace, name, o.Subresource, "")
	if check == nil {
		return nil
	}
	return check()
}

// covers tells whether a permission is one for what was reached. scoped: the kind has namespaces.
func covers(a authorize.Attributes, at reached, scoped bool) bool {
	namespace := a.Namespace
	if !scoped {
		namespace = ""
	}
	if !a.IsResource || namespace != at.namespace {
		return false
	}
	if at.do == "bind" {
		return a.Verb == "create" && (a.Plural == "bindings" && a.Name == "" || a.Plural == "pods" && a.Subresource == "binding" && a.Name == at.name)
	}
	if a.Plural != at.plural {
		return false
	}
	exact := a.Name == at.name && a.Subresource == at.subresource
	switch at.do {
	case "admit": // what the subresource does
		return exact && a.Subresource != "" && (a.Verb == "create" || a.Verb == "get" || a.Subresource == "proxy")
	case "get": // of what the permitted verb is about, whatever it does with it
		return a.Name == at.name && a.Name != ""
	case "list", "watch":
		if a.Name != "" { // then nothing else may be read
			s, err := fields.ParseSelector(at.fields)
			if err != nil {
				return false
			}
			if name, ok := s.RequiresExactMatch("metadata.name"); !ok || name != a.Name {
				return false
			}
		}
		// The permission for one object that a legacy watch path names covers the selector made of that name.
		return a.Verb == at.do && a.Subresource == "" && (a.Fields == at.fields || a.Fields == "" && a.Name != "")
	case "deletecollection":
		return a.Verb == at.do && exact && a.Fields == at.fields
	case "create":
		return a.Verb == "create" && a.Subresource == at.subresource && (a.Name == "" || a.Name == at.name)
	case "scale":
		return exact && (a.Verb == "update" || a.Verb == "patch")
	case "delete":
		return a.Name == at.name && (a.Verb == "delete" && a.Subresource == "" || a.Verb == "create" && a.Subresource == "eviction")
	}
	return a.Verb == at.do && exact
}

// beside are the kinds that a subresource's handler reads for itself: a stream the pod's node, a token what it is bound to.
var beside = map[string][]string{
	"log": {"nodes"}, "exec": {"nodes"}, "attach": {"nodes"}, "portforward": {"nodes"}, "proxy": {"pods", "endpoints"}, "token": {"pods", "nodes", "secrets"},
}

// readsBeside tells whether a handler may read what was reached besides what a permission names: the metrics of pods are read from their node.
func readsBeside(a authorize.Attributes, at reached) bool {
	return at.do == "get" && (slices.Contains(beside[a.Subresource], at.plural) || a.Group == "metrics.k8s.io" && at.plural == "nodes")
}

// routes are the paths of a kind: by path and by etcd key, with and without a namespace, of collections, objects and subresources.
func routes(res *request.Resource) (paths []string) {
	k := res.Kind
	base := "/apis/" + k.Group + "/" + k.Version.Version
	if k.Group == "" {
		base = "/api/" + k.Version.Version
	}
	subs := []string{"status", "scale", "finalize", "resize", "proxy", "bogus", "log/more"}
	for _, s := range res.Subresources {
		subs = append(subs, s.Name)
	}
	for _, prefix := range []string{base, base + "/namespaces/a", base + "/watch", base + "/watch/namespaces/a"} {
		paths = append(paths, prefix+"/"+k.Plural, prefix+"/"+k.Plural+"/x")
		for _, s := range subs {
			paths = append(paths, prefix+"/"+k.Plural+"/x/"+s)
		}
	}
	if k.Prefix != "" {
		for _, rest := range []string{"/", "/a/", "/x", "/a/x", "/x/", "/a/x/status"} {
			paths = append(paths, "/registry/"+k.Prefix+rest)
		}
	}
	return paths
}

// routedAs is equal for resources that are routed and authorized alike. Those that authorizers and handlers name are like no other.
func routedAs(res *request.Resource) string {
	k := res.Kind
	if named := []string{"", "coordination.k8s.io", "storage.k8s.io", "certificates.k8s.io", "apps"}; slices.Contains(named, k.Group) || k.Prefix == "" {
		return k.GR().String()
	}
	var subs []string
	for _, s := range res.Subresources {
		subs = append(subs, s.Name, fmt.Sprint(slices.Sorted(maps.Keys(s.Handlers))))
	}
	return fmt.Sprint(k.Namespaced, slices.Sorted(maps.Keys(res.Handlers)), subs)
}

// shapes are the methods with the queries, and one header, that they are tried with.
func shapes() (out [][3]string) {
	const named, other = "fieldSelector=metadata.name%3Dx", "fieldSelector=metadata.name%3Dy"
	reads := []string{
		"", "watch=1", "watch", "watch=false&watch=1", named, other, "watch=1&" + named, "watch=true&" + other, named + "&" + other,
		"fieldSelector=metadata.name%21%3Dx", "fieldSelector=metadata.namespace%3Db", "watch=1&fieldSelector=metadata.name%3D%3Dx%2Cmetadata.namespace%3Db",
	}
	for _, q := range reads {
		out = append(out, [3]string{"GET", q})
	}
	out = append(out, [3]string{"HEAD", ""}, [3]string{"HEAD", "watch=1"}, [3]string{"HEAD", named})
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for _, q := range []string{"", "watch=1", named} {
			out = append(out, [3]string{method, q})
		}
		out = append(out, [3]string{method, "", "If-None-Match: *"})
	}
	out = append(out, [3]string{"PATCH", "fieldManager=m", "Content-Type: application/apply-patch+yaml"})
	// What is no method of HTTP may not become a verb.
	for _, method := range []string{"get", "list", "WATCH", "watch", "create", "deletecollection", "OPTIONS"} {
		out = append(out, [3]string{method, named})
	}
	return out
}

// try gives the handlers a request of a shape: method, query and header.
func (c *cluster) try(leaf *x509.Certificate, shape [3]string, path string) int {
	body, contentType := "", request.JSONType
	switch shape[0] {
	case http.MethodPatch:
		body, contentType = `{}`, patch.Merge
	case http.MethodPost, http.MethodPut:
		body = bodyFor(path)
	}
	headers := []string{"Content-Type: " + contentType}
	if shape[2] != "" {
		headers = append(headers, shape[2])
	}
	return c.ask(leaf, shape[0], path+"?"+shape[1], body, headers...).Code
}

// bodyFor is an object of the path's name; of other kinds than what it is read as it has what they need.
func bodyFor(path string) string {
	switch {
	case strings.HasSuffix(path, "/x/binding"), strings.HasSuffix(path, "/bindings"):
		return `{"metadata":{"name":"x"},"target":{"name":"n"}}`
	case strings.HasSuffix(path, "/token"):
		return `{}`
	}
	return `{"metadata":{"name":"x"}}`
}

// TestPermittedIsDone tries every route with every method and shape of query and compares what was permitted with what the
// handler touched.
func TestPermittedIsDone(t *testing.T) {
	c := newCluster(t)
	c.Namespaces("a", "x")
	for _, obj := range []schema.Object{
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "x"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}, Spec: corev1.PodSpec{
			NodeName: "x", ServiceAccountName: "x", Containers: []corev1.Container{{Name: "c", Image: "img"}}}},
	} {
		c.Make(obj)
	}
	s := &spy{Objects: c.Registry}
	c.rebuild(s, s)
	scoped := map[string]bool{}
	for _, k := range c.Registry.Kinds().Set().All {
		scoped[k.Plural] = k.Namespaced
	}
	users := map[string]*x509.Certificate{
		"jane":   leafOf(t, c.Pair("jane", pki.Request{CommonName: "jane"})),
		"a node": leafOf(t, c.Node("x")),
	}
	tried, did := 0, map[string]int{}
	seen := map[string]bool{}
	for _, res := range c.gateway.Resources() {
		alike := routedAs(res)
		if seen[alike] {
			continue
		}
		seen[alike] = true
		for _, path := range routes(res) {
			for _, shape := range shapes() {
				for who, leaf := range users {
					tried++
					s.granted, s.touched, s.deny = nil, nil, false
					code := c.try(leaf, shape, path)
					what := fmt.Sprintf("%s %s?%s %s as %s (%d)", shape[0], path, shape[1], shape[2], who, code)
					for _, at := range s.touched {
						did[at.do]++
						if !slices.ContainsFunc(s.granted, func(a authorize.Attributes) bool {
							return covers(a, at, scoped[at.plural]) || readsBeside(a, at) || at.do == "get" && who == "a node" && at.plural == "nodes"
						}) {
							t.Errorf("%s: touched %+v, permitted %+v", what, at, s.granted)
						}
					}
					if code == http.StatusInternalServerError && !slices.Contains([]string{"log", "exec", "attach", "portforward", "proxy"}, path[strings.LastIndex(path, "/")+1:]) {
						t.Errorf("%s: an error of the server's", what)
					}
					if who != "jane" {
						continue
					}
					s.touched, s.deny = nil, true
					if c.try(leaf, shape, path); len(s.touched) > 0 {
						t.Errorf("%s: denied, and touched %+v", what, s.touched)
					}
				}
			}
		}
	}
	t.Logf("%d requests: %v", tried, did)
	for _, do := range []string{"get", "list", "watch", "create", "update", "patch", "scale", "delete", "deletecollection", "bind"} {
		if did[do] == 0 {
			t.Errorf("no request came to %s anything", do)
		}
	}
}

// verbs is an authorizer that allows what it names.
type verbs []string

func (v verbs) Authorize(_ context.Context, a authorize.Attributes) (authorize.Decision, string, error) {
	if slices.Contains(v, a.Verb) {
		return authorize.Allowed, "", nil
	}
	return authorize.NoOpinion, "not by these rules", nil
}

// Rules are not asked for.
func (v verbs) Rules(context.Context, authenticationv1.UserInfo, string) (authorize.Rules, error) {
	return authorize.Rules{}, nil
}

// TestCreatingByPut checks that a PUT that creates an object needs the permission to create besides that to update, and that a PUT of a
// subresource creates nothing.
func TestCreatingByPut(t *testing.T) {
	c := newCluster(t)
	jane := leafOf(t, c.Pair("jane", pki.Request{CommonName: "jane"}))
	const (
		maps, leases, pods = "/api/v1/namespaces/default/configmaps/", "/apis/coordination.k8s.io/v1/namespaces/default/leases/", "/api/v1/namespaces/default/pods/"
		key                = "/registry/configmaps/default/"
	)
	all, update, create := verbs{"create", "update"}, verbs{"update"}, verbs{"create"}
	denied := `User \"jane\" cannot create resource \"%s\" in API group \"%s\" in the namespace \"default\": not by these rules`
	noMaps, noLeases := fmt.Sprintf(denied, "configmaps", ""), fmt.Sprintf(denied, "leases", "coordination.k8s.io")
	for i, tt := range []struct {
		authz      verbs
		path, none string // none: the value of If-None-Match
		code       int
		want       string
	}{
		{all, maps + "a", "*", 201, ""},
		{all, maps + "a", "*", 409, ""},
		{update, maps + "b", "*", 403, noMaps},
		{update, key + "b", "*", 403, noMaps},
		{update, maps + "a", "*", 403, noMaps},
		{create, maps + "c", "*", 403, "cannot update"},
		{all, key + "c", "*", 201, ""},
		{update, maps + "absent", "", 404, ""},
		{update, leases + "a", "", 403, noLeases},
		{update, "/registry/leases/default/a", "", 403, noLeases},
		{all, leases + "a", "", 201, ""},
		{update, leases + "a", "", 422, "must be specified for an update"},
		{all, pods + "a/status", "*", 400, "a write of status does not make an object: If-None-Match may not be *"},
		{all, pods + "a/status", "", 404, ""},
	} {
		c.rebuild(c.Registry, tt.authz)
		name := strings.Split(strings.TrimSuffix(tt.path, "/status"), "/")
		var headers []string
		if tt.none != "" {
			headers = []string{"If-None-Match: " + tt.none}
		}
		a := c.ask(jane, "PUT", tt.path, `{"metadata":{"name":"`+name[len(name)-1]+`"}}`, headers...)
		if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
			t.Errorf("%d: with %v PUT %s %s: got %d %s\nwant %d %s", i, tt.authz, tt.path, tt.none, a.Code, a.Body, tt.code, tt.want)
		}
	}
}

// TestStreamsByGet checks that a stream asked for by GET, as a WebSocket has to be, needs the permission to create it besides.
func TestStreamsByGet(t *testing.T) {
	c := newCluster(t)
	jane := leafOf(t, c.Pair("jane", pki.Request{CommonName: "jane"}))
	for _, tt := range []struct {
		authz verbs
		path  string
		code  int
		want  string
	}{
		{verbs{"get"}, "exec?command=id&stdout=1", 403, `pods "x" is forbidden: User "jane" cannot create resource "pods/exec"`},
		{verbs{"get"}, "attach?stdout=1", 403, `cannot create resource "pods/attach"`},
		{verbs{"get"}, "portforward", 403, `cannot create resource "pods/portforward"`},
		{verbs{"create"}, "exec?command=id&stdout=1", 403, `cannot get resource "pods/exec"`},
		{verbs{"get", "create"}, "exec?command=id&stdout=1", 404, `pods "x" not found`},
		{verbs{"get"}, "log", 404, `pods "x" not found`},
	} {
		c.rebuild(c.Registry, tt.authz)
		if a := c.ask(jane, "GET", "/api/v1/namespaces/default/pods/x/"+tt.path, ""); a.Code != tt.code || !a.Has(tt.want) {
			t.Errorf("with %v GET %s: got %d %s\nwant %d %s", tt.authz, tt.path, a.Code, a.Body, tt.code, tt.want)
		}
	}
}
