package gateway

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

func TestAuthentication(t *testing.T) {
	c := newCluster(t)
	stranger, err := pki.OpenAuthority(t.TempDir(), "stranger", true)
	if err != nil {
		t.Fatal(err)
	}
	fake, err := stranger.Ensure("x", pki.Request{CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	user := c.pair("user", pki.Request{CommonName: "jane", Organizations: []string{"devs"}})
	nobody, admin, jane, wrong := c.client(), c.client(c.admin.Certificate), c.client(user.Certificate), c.client()
	// Left to itself a client shows no certificate of a CA that the server does not name.
	wrong.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return &fake.Certificate, nil
	}
	const unauthorized = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`
	for _, tt := range []struct {
		name    string
		client  *http.Client
		path    string
		headers []string
		code    int
		want    string
	}{
		{"health is anybody's", nobody, "/livez", nil, 200, "ok"},
		{"so is the version", nobody, "/version", nil, 200, `"major": "1"`},
		{"but nothing else", nobody, "/api", nil, 401, unauthorized},
		{"no pods", nobody, "/api/v1/pods", nil, 401, unauthorized},
		{"an etcd key", nobody, "/registry/pods/", nil, 401, unauthorized},
		{"another CA's certificate", wrong, "/api/v1/pods", nil, 401, unauthorized},
		{"not even health with it", wrong, "/livez", nil, 401, unauthorized},
		{"a bad token", nobody, "/api/v1/pods", []string{"Authorization: Bearer abc"}, 401, unauthorized},
		{"a huge token", nobody, "/api/v1/pods", []string{"Authorization: Bearer " + strings.Repeat("a", 100_000)}, 401, unauthorized},
		{"admin", admin, "/api/v1/pods", nil, 200, `"kind":"PodList"`},
		{"jane may look around", jane, "/apis", nil, 200, "APIGroupList"},
		{"jane may not list", jane, "/api/v1/namespaces/default/pods", nil, 403,
			`"message":"pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"","reason":"Forbidden","details":{"kind":"pods"},"code":403}`},
		{"nor get", jane, "/apis/apps/v1/namespaces/default/deployments/web", nil, 403,
			`"message":"deployments.apps \"web\" is forbidden: User \"jane\" cannot get resource \"deployments\" in API group \"apps\" in the namespace \"default\""`},
		{"nor by an etcd key", jane, "/registry/secrets/default/s", nil, 403, `secrets \"s\" is forbidden: User \"jane\" cannot get resource \"secrets\"`},
		{"nor across namespaces", jane, "/api/v1/nodes", nil, 403, `cannot list resource \"nodes\" in API group \"\" at the cluster scope`},
		{"nor metrics", jane, "/metrics", nil, 403, `"message":"forbidden: User \"jane\" cannot get path \"/metrics\"","reason":"Forbidden","details":{},"code":403}`},
		{"jane is not another", jane, "/api", []string{"Impersonate-User: bob"}, 403, `"message":"users \"bob\" is forbidden: User \"jane\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"`},
		{"admin may be jane", admin, "/api/v1/pods", []string{"Impersonate-User: jane"}, 403, `User \"jane\" cannot list`},
		{"a group alone is nobody", admin, "/api/v1/pods", []string{"Impersonate-Group: x"}, 400,
			`requested \u0026user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"x\"}, Extra:map[string][]string(nil)} without impersonating a user name`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.do(tt.client, "GET", tt.path, "", tt.headers...)
			if a.code != tt.code || !strings.Contains(a.body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.code, a.body, tt.code, tt.want)
			}
		})
	}
}

// TestTokens follows a pod's token from its making to its pod's end.
func TestTokens(t *testing.T) {
	c := newCluster(t)
	admin := c.clientset(c.admin)
	pod, err := admin.CoreV1().Pods("default").Create(t.Context(), testPod("p", ""), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	life := int64(600)
	req, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &life, BoundObjectRef: &authenticationv1.BoundObjectReference{
			Kind: "Pod", APIVersion: "v1", Name: "p", UID: pod.UID,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	holder, err := kubernetes.NewForConfig(&rest.Config{Host: c.url, BearerToken: req.Status.Token, TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.PEM}})
	if err != nil {
		t.Fatal(err)
	}
	self, err := holder.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := self.Status.UserInfo.Username, "system:serviceaccount:default:default"; got != want {
		t.Errorf("the token names %q, want %q", got, want)
	}
	if got := self.Status.UserInfo.Extra["authentication.kubernetes.io/pod-name"]; len(got) != 1 || got[0] != "p" {
		t.Errorf("the token's pod is %v, want p", got)
	}
	review := func(audiences ...string) authenticationv1.TokenReviewStatus {
		r, err := admin.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: req.Status.Token, Audiences: audiences}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Status
	}
	if s := review(); !s.Authenticated {
		t.Errorf("the review says %+v, want authenticated", s)
	}
	if s := review("other"); s.Authenticated {
		t.Error("the token holds for another audience")
	}
	zero := int64(0)
	if err := admin.CoreV1().Pods("default").Delete(t.Context(), "p", metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.reg.Get(t.Context(), core.Pod, "default", "p", ""); !errors.Is(err, registry.NotFound) { // and the cache knows
		t.Fatal(err)
	}
	if s := review(); s.Authenticated {
		t.Error("the token outlives its pod")
	}
	if a := c.do(c.client(), "GET", "/api", "", "Authorization: Bearer "+req.Status.Token); a.code != 401 {
		t.Errorf("the pod is gone and its token gets %d, want 401", a.code)
	}
	if a := c.as("GET", "/openid/v1/jwks", ""); !strings.Contains(a.body, `"kty":"EC"`) && !strings.Contains(a.body, `"kty":"RSA"`) {
		t.Errorf("the key set is %s", a.body)
	}
	if a := c.as("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", `{"spec":{"audiences":[],"expirationSeconds":5}}`); a.code != 422 ||
		!strings.Contains(a.body, "may not specify a duration less than 10 minutes") {
		t.Errorf("a short token: %d %s", a.code, a.body)
	}
}

// TestTokensOfDeletedObjects: a token is valid for a minute after the deletionTimestamp of what it is bound to, however long that stays.
func TestTokensOfDeletedObjects(t *testing.T) {
	c := newCluster(t)
	bound := map[string]*schema.Kind{"ServiceAccount": core.ServiceAccount, "Pod": core.Pod, "Secret": core.Secret, "Node": core.Node}
	for sort, k := range bound {
		name := strings.ToLower(sort)
		c.make(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
		ref, namespace := "", "default"
		switch pod := testPod(name, "n1"); sort {
		case "Pod":
			pod.Spec.ServiceAccountName = name
			ref = c.make(pod).UID()
		case "Secret":
			ref = c.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}).UID()
		case "Node":
			namespace = ""
			ref = c.make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}).UID()
		}
		body := `{"spec":{"audiences":[]}}`
		if ref != "" {
			body = `{"spec":{"audiences":[],"boundObjectRef":{"kind":"` + sort + `","apiVersion":"v1","name":"` + name + `","uid":"` + ref + `"}}}`
		}
		a := c.as("POST", "/api/v1/namespaces/default/serviceaccounts/"+name+"/token", body)
		var req authenticationv1.TokenRequest
		if err := json.Unmarshal([]byte(a.body), &req); err != nil || req.Status.Token == "" {
			t.Fatalf("%s: %d %s", sort, a.code, a.body)
		}
		for _, tt := range []struct {
			ago  time.Duration
			code int
		}{{-time.Hour, 200}, {0, 200}, {2 * time.Minute, 401}} {
			c.put(k, namespace, name, func(obj schema.Object) {
				at, grace := metav1.NewTime(time.Now().Add(-tt.ago)), int64(30)
				obj.SetDeletionTimestamp(&at)
				obj.SetDeletionGracePeriodSeconds(&grace)
				obj.SetFinalizers([]string{"example.com/stays"})
			})
			if a := c.do(c.client(), "GET", "/api", "", "Authorization: Bearer "+req.Status.Token); a.code != tt.code {
				t.Errorf("bound to a %s that was to be deleted %v ago: %d, want %d", sort, tt.ago, a.code, tt.code)
			}
		}
	}
}

// TestNodePermissions tries what a node may and may not do.
func TestNodePermissions(t *testing.T) {
	c := newCluster(t)
	node := c.client(c.node("n1").Certificate)
	admin := c.clientset(c.admin)
	for _, name := range []string{"mine", "others"} {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := admin.CoreV1().Secrets("default").Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, on := range map[string]string{"here": "n1", "there": "n2"} {
		p := testPod(name, on)
		secret := map[string]string{"here": "mine", "there": "others"}[name]
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: secret}}}}
		if _, err := admin.CoreV1().Pods("default").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	other := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}}
	if _, err := registry.For[*corev1.Node](c.reg).Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	here, err := c.reg.Get(t.Context(), core.Pod, "default", "here", "")
	if err != nil {
		t.Fatal(err)
	}
	there, err := c.reg.Get(t.Context(), core.Pod, "default", "there", "")
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
			a := c.do(node, tt.method, tt.path, tt.body, tt.headers...)
			if a.code != tt.code || !strings.Contains(a.body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.code, a.body, tt.code, tt.want)
			}
		})
	}
}

func testPod(name, node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "img"}}},
	}
}
