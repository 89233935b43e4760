package gatewaytest

import (
	"fmt"
	"path"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/registry/store"
	"gantry/schema"
)

// Namespaces creates namespaces, and the service account default of the namespace default.
func (c *Cluster) Namespaces(names ...string) {
	c.T.Helper()
	for _, name := range names {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := registry.For[*corev1.Namespace](c.Registry).Create(c.T.Context(), ns); err != nil {
			c.T.Fatal(err)
		}
		if name != "default" {
			continue
		}
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: name}}
		if _, err := registry.For[*corev1.ServiceAccount](c.Registry).Create(c.T.Context(), sa); err != nil {
			c.T.Fatal(err)
		}
	}
}

// MapsPath is where MakeMaps makes config maps.
const MapsPath = "/api/v1/namespaces/default/configmaps"

// MakeMaps creates the config maps m000 to m<n-1> with a text as data and their number modulo 2 as label n.
func (c *Cluster) MakeMaps(n int, data string) {
	c.T.Helper()
	client := c.Client(c.Admin.Certificate)
	for i := range n {
		if a := c.Do(client, "POST", MapsPath, fmt.Sprintf(`{"metadata":{"name":"m%03d","labels":{"n":"%d"}},"data":{"d":%q}}`, i, i%2, data)); a.Code != 201 {
			c.T.Fatalf("making a config map: %d %s", a.Code, a.Body)
		}
	}
}

// KindOf is the kind of an object.
func (c *Cluster) KindOf(obj schema.Object) *schema.Kind {
	return c.Registry.Kinds().Set().Of(reflect.TypeOf(obj))
}

// Put changes an object as it can only be changed in etcd, and waits until the cache knows.
func (c *Cluster) Put(k *schema.Kind, namespace, name string, change func(schema.Object)) {
	c.T.Helper()
	item, err := c.Registry.Get(c.T.Context(), k, namespace, name, "")
	if err != nil {
		c.T.Fatal(err)
	}
	obj := item.Object().DeepCopyObject().(schema.Object)
	change(obj)
	obj.SetResourceVersion("")
	value, err := schema.Encode(obj)
	if err != nil {
		c.T.Fatal(err)
	}
	key := "/registry/" + path.Join(k.Prefix, namespace, name)
	if _, err := c.Store.Commit(c.T.Context(), store.Txn{Puts: []store.Put{{Key: key, Value: value}}}); err != nil {
		c.T.Fatal(err)
	}
	if _, err := c.Registry.Get(c.T.Context(), k, namespace, name, ""); err != nil {
		c.T.Fatal(err)
	}
}

// Make stores an object.
func (c *Cluster) Make(obj schema.Object) *registry.Item {
	c.T.Helper()
	item, err := c.Registry.Create(c.T.Context(), c.KindOf(obj), obj, registry.WriteOptions{})
	if err != nil {
		c.T.Fatal(err)
	}
	return item
}

// Pod is a pod of the namespace default with the label app=web, bound to a node; "": to none.
func Pod(name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "img"}}},
	}
}
