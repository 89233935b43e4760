package authorize_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/gateway/gatewaytest"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// TestNodePermissions tries what a node may and may not do.
func TestNodePermissions(t *testing.T) {
	c := gatewaytest.New(t)
	node := c.Client(c.Node("n1").Certificate)
	admin := c.Clientset(c.Admin)
	for _, name := range []string{"mine", "others"} {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := admin.CoreV1().Secrets("default").Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, on := range map[string]string{"here": "n1", "there": "n2"} {
		p := gatewaytest.Pod(name, on)
		secret := map[string]string{"here": "mine", "there": "others"}[name]
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}}
		if _, err := admin.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	other := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}}
	if _, err := registry.For[*corev1.Node](c.Registry).Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	here, err := c.Registry.Get(t.Context(), core.Pod, "default", "here", "")
	if err != nil {
		t.Fatal(err)
	}
	there, err := c.Registry.Get(t.Context(), core.Pod, "default", "there", "")
	if err != nil {
		t.Fatal(err)
	}
	const merge = "Content-Type: application/merge-patch+json"
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		want                     string
	}{
		{"registers itself", "POST", "/api/v1/nodes", `{"metadata":{"name":"n1","labels":{"kubernetes.io/hostname":"n1"}}}`, nil, 201, ""},
		{"registers no other", "POST", "/api/v1/nodes", `{"metadata":{"name":"n3"}}`, nil, 403, `node \"n1\" is not allowed to modify node \"n3\"`},
		{"changes its status", "PATCH", "/api/v1/nodes/n1/status", `{"status":{"nodeInfo":{"architecture":"amd64"}}}`, []string{merge}, 200, ""},
		{"not another's", "PATCH", "/api/v1/nodes/n2/status", `{"status":{"nodeInfo":{"architecture":"amd64"}}}`, []string{merge}, 403, "only its own Node object"},
		{"not its taints", "PATCH", "/api/v1/nodes/n1", `{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}`, []string{merge}, 403, "is not allowed to modify taints"},
		{"not its restricted labels", "PATCH", "/api/v1/nodes/n1", `{"metadata":{"labels":{"node-restriction.kubernetes.io/x":"y"}}}`, []string{merge}, 403,
			"is not allowed to modify labels: node-restriction.kubernetes.io/x"},
		{"not its owners", "PATCH", "/api/v1/nodes/n1", `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n2","uid":"1"}]}}`, []string{merge}, 403, "ownerReferences"},
		{"does not delete itself", "DELETE", "/api/v1/nodes/n1", "", nil, 403, `cannot delete resource \"nodes\"`},
		{"reads its pod's secret", "GET", "/api/v1/namespaces/default/secrets/mine", "", nil, 200, `"Secret"`},
		{"not another's", "GET", "/api/v1/namespaces/default/secrets/others", "", nil, 403, "no relationship found between node 'n1' and this object"},
		{"not by an etcd key", "GET", "/registry/secrets/default/others", "", nil, 403, "no relationship found"},
		{"not all", "GET", "/api/v1/secrets", "", nil, 403, "can only read namespaced object of this type"},
		{"reads its pod", "GET", "/api/v1/namespaces/default/pods/here", "", nil, 200, `"here"`},
		{"not another's", "GET", "/api/v1/namespaces/default/pods/there", "", nil, 403, "no relationship found"},
		{"lists its pods", "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", "", nil, 200, `"here"`},
		{"not all", "GET", "/api/v1/pods", "", nil, 403, "can only list/watch pods with spec.nodeName field selector"},
		{"watches its Node", "GET", "/api/v1/nodes?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dn1", "", nil, 200, `"ADDED"`},
		{"reads no other", "GET", "/api/v1/nodes/n2", "", nil, 403, "node 'n1' cannot read 'n2', only its own Node object"},
		{"its pod's status", "PATCH", "/api/v1/namespaces/default/pods/here/status", `{"status":{"phase":"Running"}}`, []string{merge}, 200, `"Running"`},
		{"not another's", "PATCH", "/api/v1/namespaces/default/pods/there/status", `{"status":{"phase":"Running"}}`, []string{merge}, 403, "can only update pod status for pods with spec.nodeName set to itself"},
		{"its pod's token", "POST", "/api/v1/namespaces/default/serviceaccounts/default/token",
			`{"spec":{"audiences":[],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"here","uid":"` + here.UID() + `"}}}`, nil, 201, `"token":"`},
		{"not another's", "POST", "/api/v1/namespaces/default/serviceaccounts/default/token",
			`{"spec":{"audiences":[],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"there","uid":"` + there.UID() + `"}}}`, nil, 403, "different node"},
		{"not unbound", "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", `{"spec":{"audiences":[]}}`, nil, 403, "not bound to a pod"},
		{"its lease", "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", `{"metadata":{"name":"n1"}}`, nil, 201, ""},
		{"not another's", "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", `{"metadata":{"name":"n2"}}`, nil, 403, "same name as the requesting node"},
		{"events", "POST", "/api/v1/namespaces/default/events", `{"metadata":{"name":"e"},"involvedObject":{"kind":"Pod","namespace":"default","name":"here"},"reason":"R","type":"Normal"}`, nil, 201, ""},
		{"no pods of its own", "POST", "/api/v1/namespaces/default/pods", `{"metadata":{"name":"x"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}}`, nil, 403, "can only create mirror pods"},
		{"deletes its pod", "DELETE", "/api/v1/namespaces/default/pods/here", `{"gracePeriodSeconds":0}`, nil, 200, ""},
		{"not another's", "DELETE", "/api/v1/namespaces/default/pods/there", `{"gracePeriodSeconds":0}`, nil, 403, "can only delete pods with spec.nodeName set to itself"},
		{"binds nothing", "POST", "/api/v1/namespaces/default/pods/there/binding", `{"target":{"name":"n1"}}`, nil, 403, `cannot create resource \"pods/binding\"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.Do(node, tt.method, tt.path, tt.body, tt.headers...)
			if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}

// TestNodeAuthorizerRefuses tries what a node with one pod, which refers to one secret, may not do.
func TestNodeAuthorizerRefuses(t *testing.T) {
	c := gatewaytest.New(t)
	c.Namespaces("tenant")
	for _, namespace := range []string{"default", "tenant"} {
		c.Make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mine"}, StringData: map[string]string{"from": namespace}})
	}
	c.Make(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "default"}})
	c.Make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	c.Make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}})
	pod := gatewaytest.Pod("here", "n1")
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mine"}}}}
	here := c.Make(pod)
	c.Make(gatewaytest.Pod("there", "n2"))
	node := c.Client(c.Node("n1").Certificate)
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
		{"evicts another's", "POST", "/api/v1/namespaces/default/pods/there/eviction", `{"metadata":{"name":"there"}}`, 403, "node n1 can only evict pods with spec.nodeName set to itself"},
		{"a token as mounted", "POST", account, token(`[]`), 201, `"token":"`},
		{"of an audience that no volume names", "POST", account, token(`["vault"]`), 403,
			`audience \"vault\" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience`},
		{"the API's by its name", "POST", account, token(`["https://kubernetes.default.svc"]`), 403, "not found in pod spec volume"},
		{"two audiences", "POST", account, token(`["a","b"]`), 403, "node may only request 0 or 1 audiences"},
		{"without a uid", "POST", account, `{"spec":{"audiences":[],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"here"}}}`, 403, "node requested token with a pod binding without a uid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.Do(node, tt.method, tt.path, tt.body)
			if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}

// TestMirrorPodsGiveNoAccess checks that a mirror pod, which a node creates itself, gives the node no access to other objects.
func TestMirrorPodsGiveNoAccess(t *testing.T) {
	c := gatewaytest.New(t)
	c.Namespaces("tenant")
	account := c.Make(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "default"}})
	n1 := c.Make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	node := c.Client(c.Node("n1").Certificate)
	owner := func(controller, block, uid string) string {
		return `{"apiVersion":"v1","kind":"Node","name":"n1","controller":` + controller + `,"blockOwnerDeletion":` + block + `,"uid":"` + uid + `"}`
	}
	mine := owner("true", "false", n1.UID())
	made := 0
	mirror := func(owners, spec string) gatewaytest.Answer {
		made++
		return c.Do(node, "POST", "/api/v1/namespaces/tenant/pods", fmt.Sprintf(`{"metadata":{"name":"m%d","annotations":{"kubernetes.io/config.mirror":"x"},"ownerReferences":[%s]},
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
			if a := mirror(tt.owners, tt.spec); a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
	pod, err := c.Registry.Get(t.Context(), core.Pod, "tenant", "m1", "")
	if err != nil {
		t.Fatal(err)
	}
	a := c.Do(node, "POST", "/api/v1/namespaces/tenant/serviceaccounts/default/token",
		`{"spec":{"audiences":[],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"m1","uid":"`+pod.UID()+`"}}}`)
	if a.Code != 403 || !strings.Contains(a.Body, "no relationship found between node 'n1' and this object") {
		t.Errorf("a token by a mirror pod: %d %s", a.Code, a.Body)
	}
	// A mirror pod that somebody else made, or that came by etcd, gives nothing either.
	c.Make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tenant", Name: "s"}})
	c.Put(core.Pod, "tenant", "m1", func(obj schema.Object) {
		obj.(*corev1.Pod).Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}}}
	})
	if a := c.Do(node, "GET", "/api/v1/namespaces/tenant/secrets/s", ""); a.Code != 403 {
		t.Errorf("a secret that a mirror pod names: %d %s", a.Code, a.Body)
	}
}
