package gateway

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// TestInfo compares what is read from a request with Kubernetes': what it is a request for, and of which name.
func TestInfo(t *testing.T) {
	c := newCluster(t)
	const sel = "fieldSelector=metadata.name%3Dx"
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/api/v1/namespaces/a/secrets/x", "get a secrets x  "},
		{"GET", "/api/v1/namespaces/a/secrets/x?watch=1", "get a secrets x  "},
		{"GET", "/api/v1/namespaces/a/secrets/x?watch=1&" + sel, "get a secrets x  "},
		{"GET", "/registry/secrets/a/x?watch=1", "get a secrets x  "},
		{"GET", "/api/v1/nodes/x?watch=true", "get  nodes x  "},
		{"GET", "/registry/minions/x?watch=1", "get  nodes x  "},
		{"HEAD", "/api/v1/nodes/x", "get  nodes x  "},
		{"GET", "/api/v1/namespaces/a/pods/x/log?watch=1", "get a pods x log "},
		{"GET", "/api/v1/namespaces/a/secrets", "list a secrets   "},
		{"GET", "/api/v1/namespaces/a/secrets?watch=0", "list a secrets   "},
		{"GET", "/api/v1/namespaces/a/secrets?watch", "watch a secrets   "},
		{"GET", "/api/v1/namespaces/a/secrets?" + sel, "list a secrets x  metadata.name=x"},
		{"GET", "/api/v1/namespaces/a/secrets?watch=1&" + sel, "watch a secrets x  metadata.name=x"},
		{"GET", "/api/v1/secrets?" + sel, "list  secrets x  metadata.name=x"},
		{"GET", "/registry/secrets/?watch=1&" + sel, "watch  secrets x  metadata.name=x"},
		{"GET", "/api/v1/secrets?fieldSelector=metadata.name%21%3Dx", "list  secrets   metadata.name!=x"},
		{"GET", "/api/v1/secrets?fieldSelector=metadata.name%3D..", "list  secrets   metadata.name=.."},
		{"GET", "/api/v1/secrets?fieldSelector=,%3D", "list  secrets   ,="},
		{"DELETE", "/api/v1/namespaces/a/secrets?" + sel, "deletecollection a secrets   metadata.name=x"},
		{"DELETE", "/api/v1/namespaces/a/secrets/x?" + sel, "delete a secrets x  "},
		{"POST", "/api/v1/namespaces/a/secrets?" + sel, "create a secrets   "},
		{"PUT", "/api/v1/namespaces/a/pods/x/status?watch=1", "update a pods x status "},
		{"PATCH", "/api/v1/namespaces/x", "patch x namespaces x  "},
		{"PATCH", "/registry/namespaces/x", "patch x namespaces x  "},
		{"PUT", "/api/v1/namespaces/x/finalize", "update x namespaces x finalize "},
		{"GET", "/api/v1/namespaces", "list  namespaces   "},
		{"WATCH", "/api/v1/namespaces/a/secrets/x", " a secrets x  "},
		{"list", "/api/v1/namespaces/a/secrets", " a secrets   "},
	} {
		req := httptest.NewRequest(tt.method, tt.path, nil)
		r := &request.Request{Request: req, Query: req.URL.Query()}
		r.Info = request.ParseInfo(req, r.Query, c.gateway.resources)
		a := authorize.AttributesOf(r)
		got := fmt.Sprintf("%s %s %s %s %s %s", a.Verb, a.Namespace, a.Plural, a.Name, a.Subresource, a.Fields)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.method, tt.path, diff)
		}
	}
}

// TestNodeAuthorizerRefuses tries what a node with one pod, which refers to one secret, may not do.
func TestNodeAuthorizerRefuses(t *testing.T) {
	c := newCluster(t)
	c.namespaces("tenant")
	for _, namespace := range []string{"default", "tenant"} {
		c.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine"}, StringData: map[string]string{"from": namespace}})
	}
	c.make(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "default"}})
	c.make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	c.make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}})
	pod := testPod("here", "n1")
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mine"}}}}
	here := c.make(pod)
	c.make(testPod("there", "n2"))
	node := c.client(c.node("n1").Certificate)
	token := func(audiences string) string {
		return `{"spec":{"audiences":` + audiences + `,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"here","uid":"` + here.UID() + `"}}}`
	}
	const account = "/api/v1/namespaces/default/serviceaccounts/default/token"
	for _, tt := range []struct {
		name, method, path, body string
		code                     int
		want                     string
	}{
		{"a secret", "GET", "/api/v1/namespaces/default/secrets/mine", "", 200, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"mine","namespace":"default"`},
		{"a named watch is a get", "GET", "/api/v1/namespaces/default/secrets/mine?watch=1", "", 200, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"mine","namespace":"default"`},
		{"by its key too", "GET", "/registry/secrets/default/mine?watch=1", "", 200, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"mine","namespace":"default"`},
		{"its Node too", "GET", "/api/v1/nodes/n1?watch=1", "", 200, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n1"`},
		{"a watch of one name in a namespace", "GET", "/api/v1/namespaces/default/secrets?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dmine", "", 200, `{"type":"ADDED"`},
		{"a secret without a namespace", "GET", "/api/v1/secrets/mine?watch=1", "", 403, "can only read namespaced object of this type"},
		{"a name in all namespaces", "GET", "/api/v1/secrets?fieldSelector=metadata.name%3Dmine", "", 403, "can only read namespaced object of this type"},
		{"and watched", "GET", "/api/v1/secrets?watch=1&fieldSelector=metadata.name%3Dmine", "", 403, "can only read namespaced object of this type"},
		{"by its key", "GET", "/registry/secrets/?fieldSelector=metadata.name%3Dmine", "", 403, "can only read namespaced object of this type"},
		{"a foreign namespace", "GET", "/registry/secrets/tenant/mine?watch=1", "", 403, "no relationship found"},
		{"config maps alike", "GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dmine", "", 403, "can only read namespaced object of this type"},
		{"a verb of its own", "WATCH", "/api/v1/namespaces/default/secrets/mine", "", 403, "can only read resources of this type"},
		{"accounts of all namespaces", "GET", "/api/v1/serviceaccounts/default", "", 403, "can only read namespaced object of this type"},
		{"all accounts", "GET", "/api/v1/namespaces/default/serviceaccounts?fieldSelector=metadata.name%3Ddefault", "", 403, "can only create tokens"},
		{"one pod by its name", "GET", "/api/v1/namespaces/default/pods?watch=1&fieldSelector=metadata.name%3Dthere", "", 403, "can only list/watch pods with spec.nodeName field selector"},
		{"all nodes", "GET", "/api/v1/nodes", "", 403, "node 'n1' cannot read all nodes, only its own Node object"},
		{"logs of its pod", "GET", "/api/v1/namespaces/default/pods/here/log", "", 403, `cannot get resource \"pods/log\"`},
		{"exec in its pod", "GET", "/api/v1/namespaces/default/pods/here/exec?command=id&stdout=1", "", 403, `cannot get resource \"pods/exec\"`},
		{"port-forward to its pod", "POST", "/api/v1/namespaces/default/pods/here/portforward", "", 403, `cannot create resource \"pods/portforward\"`},
		{"proxy of its Node", "GET", "/api/v1/nodes/n1/proxy", "", 403, `cannot get resource \"nodes/proxy\"`},
		{"evicts another's", "POST", "/api/v1/namespaces/default/pods/there/eviction", `{}`, 403, "node n1 can only evict pods with spec.nodeName set to itself"},
		{"a token as mounted", "POST", account, token(`[]`), 201, `"token":"`},
		{"of an audience that no volume names", "POST", account, token(`["vault"]`), 403,
			`audience \"vault\" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience`},
		{"the API's by its name", "POST", account, token(`["https://kubernetes.default.svc"]`), 403, "not found in pod spec volume"},
		{"two audiences", "POST", account, token(`["a","b"]`), 403, "node may only request 0 or 1 audiences"},
		{"without a uid", "POST", account, `{"spec":{"audiences":[],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"here"}}}`, 403, "node requested token with a pod binding without a uid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.do(node, tt.method, tt.path, tt.body)
			if a.code != tt.code || !strings.Contains(a.body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.code, a.body, tt.code, tt.want)
			}
		})
	}
}

// make stores an object.
func (c *cluster) make(obj schema.Object) *registry.Item {
	c.t.Helper()
	item, err := c.reg.Create(c.t.Context(), c.kindOf(obj), obj, registry.WriteOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return item
}

// TestMirrorPodsGiveNoAccess: a mirror pod, which a node makes itself, gives it no access to other objects.
func TestMirrorPodsGiveNoAccess(t *testing.T) {
	c := newCluster(t)
	c.namespaces("tenant")
	account := c.make(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "default"}})
	n1 := c.make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	node := c.client(c.node("n1").Certificate)
	owner := func(controller, block, uid string) string {
		return `{"apiVersion":"v1","kind":"Node","name":"n1","controller":` + controller + `,"blockOwnerDeletion":` + block + `,"uid":"` + uid + `"}`
	}
	mine := owner("true", "false", n1.UID())
	made := 0
	mirror := func(owners, spec string) answer {
		made++
		return c.do(node, "POST", "/api/v1/namespaces/tenant/pods", fmt.Sprintf(`{"metadata":{"name":"m%d","annotations":{"kubernetes.io/config.mirror":"x"},"ownerReferences":[%s]},
			"spec":{"nodeName":"n1","automountServiceAccountToken":false,"containers":[{"name":"c","image":"i"}]%s}}`, made, owners, spec))
	}
	volume := func(source string) string { return `,"volumes":[{"name":"v",` + source + `}]` }
	for _, tt := range []struct {
		name, owners, spec string
		code               int
		want               string
	}{
		{"plain", mine, "", 201, ""},
		{"with a place on the host", mine, volume(`"hostPath":{"path":"/etc"}`), 201, ""},
		{"with its own labels", mine, volume(`"projected":{"sources":[{"downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}}]}}]}`), 201, ""},
		{"nobody's", "", "", 403, `node \"n1\" can only create pods with an owner reference set to itself`},
		{"twice owned", mine + "," + strings.Replace(mine, "n1", "n2", 1), "", 403, "with a single owner reference set to itself"},
		{"another's", strings.Replace(mine, "n1", "n2", 1), "", 403, "with an owner reference set to itself"},
		{"no controller's", owner("false", "false", n1.UID()), "", 403, "with a controller owner reference set to itself"},
		{"that holds its node", owner("true", "true", n1.UID()), "", 403, "must not set blockOwnerDeletion"},
		{"of another life", owner("true", "false", account.UID()), "", 403, "node n1 UID mismatch: expected " + account.UID() + " got " + n1.UID()},
		{"an account", mine, `,"serviceAccountName":"default"`, 403, "reference serviceaccounts"},
		{"an account by its old name", mine, `,"serviceAccount":"default"`, 403, "reference serviceaccounts"},
		{"a pull secret", mine, `,"imagePullSecrets":[{"name":"s"}]`, 403, "reference secrets"},
		{"a secret", mine, volume(`"secret":{"secretName":"s"}`), 403, "reference secrets"},
		{"a config map", mine, volume(`"configMap":{"name":"s"}`), 403, "reference configmaps"},
		{"a claim", mine, volume(`"persistentVolumeClaim":{"claimName":"s"}`), 403, "reference persistentvolumeclaims"},
		{"a claim of its own", mine, volume(`"ephemeral":{"volumeClaimTemplate":{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}}`), 403,
			"reference persistentvolumeclaims (via ephemeral volumes)"},
		{"a driver", mine, volume(`"csi":{"driver":"d"}`), 403, "reference csidrivers (via CSI volumes)"},
		{"endpoints", mine, volume(`"glusterfs":{"endpoints":"e","path":"p"}`), 403, "reference endpoints (via glusterFS volumes)"},
		{"a token", mine, volume(`"projected":{"sources":[{"serviceAccountToken":{"path":"t"}}]}`), 403, "reference serviceaccounts (via projected volumes)"},
		{"a bundle of trust", mine, volume(`"projected":{"sources":[{"clusterTrustBundle":{"name":"b","path":"t"}}]}`), 403, "reference clustertrustbundles"},
		{"a resource claim", mine, `,"resourceClaims":[{"name":"r","resourceClaimName":"s"}]`, 403, "reference resourceclaims"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := mirror(tt.owners, tt.spec); a.code != tt.code || !strings.Contains(a.body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.code, a.body, tt.code, tt.want)
			}
		})
	}
	pod, err := c.reg.Get(t.Context(), core.Pod, "tenant", "m1", "")
	if err != nil {
		t.Fatal(err)
	}
	a := c.do(node, "POST", "/api/v1/namespaces/tenant/serviceaccounts/default/token",
		`{"spec":{"audiences":[],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"m1","uid":"`+pod.UID()+`"}}}`)
	if a.code != 403 || !strings.Contains(a.body, "no relationship found between node 'n1' and this object") {
		t.Errorf("a token by a mirror pod: %d %s", a.code, a.body)
	}
	// A mirror pod that somebody else made, or that came by etcd, gives nothing either.
	c.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "s"}})
	c.put(core.Pod, "tenant", "m1", func(obj schema.Object) {
		obj.(*corev1.Pod).Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}}}
	})
	if a := c.do(node, "GET", "/api/v1/namespaces/tenant/secrets/s", ""); a.code != 403 {
		t.Errorf("a secret that a mirror pod names: %d %s", a.code, a.body)
	}
}
