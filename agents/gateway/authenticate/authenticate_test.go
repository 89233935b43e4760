package authenticate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
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

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

func TestAuthentication(t *testing.T) {
	c := gatewaytest.New(t)
	stranger, err := pki.OpenAuthority(t.TempDir(), "stranger", true)
	if err != nil {
		t.Fatal(err)
	}
	fake, err := stranger.Ensure("x", pki.Request{CommonName: "kubernetes-admin", Organizations: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	user := c.Pair("user", pki.Request{CommonName: "jane", Organizations: []string{"devs"}})
	nobody, admin, jane, wrong := c.Client(), c.Client(c.Admin.Certificate), c.Client(user.Certificate), c.Client()
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
		{"jane is not another", jane, "/api", []string{"Impersonate-User: bob"}, 403, `"message":"forbidden: User \"jane\" cannot impersonate-on:user-info:get path \"/api\""`},
		{"admin may be jane", admin, "/api/v1/pods", []string{"Impersonate-User: jane"}, 403, `User \"jane\" cannot list`},
		{"a group alone is nobody", admin, "/api/v1/pods", []string{"Impersonate-Group: x"}, 400,
			`requested \u0026user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"x\"}, Extra:map[string][]string(nil)} without impersonating a user name`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := c.Do(tt.client, "GET", tt.path, "", tt.headers...)
			if a.Code != tt.code || !strings.Contains(a.Body, tt.want) {
				t.Errorf("got %d %s\nwant %d %s", a.Code, a.Body, tt.code, tt.want)
			}
		})
	}
}

// TestCertificatesOutOfTime shows certificates of the cluster's authority before and after their time, and headers of proxies, which name nobody.
func TestCertificatesOutOfTime(t *testing.T) {
	c := gatewaytest.New(t)
	client := func(from, to time.Duration) *http.Client {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := c.CA.Sign(&x509.Certificate{
			Subject: pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}, PublicKey: key.Public(),
			NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(der)
		return c.Client(tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key})
	}
	for _, tt := range []struct {
		name     string
		from, to time.Duration
		code     int
	}{
		{"now", -time.Hour, time.Hour, 200},
		{"expired", -2 * time.Hour, -time.Second, 401},
		{"not yet valid", time.Hour, 2 * time.Hour, 401},
	} {
		for _, path := range []string{"/api/v1/pods", "/registry/pods/"} {
			if a := c.Do(client(tt.from, tt.to), "GET", path, ""); a.Code != tt.code {
				t.Errorf("%s, %s: %d %s", tt.name, path, a.Code, a.Body)
			}
		}
	}
	for _, header := range []string{"X-Remote-User: kubernetes-admin", "X-Remote-Group: system:masters", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Client-Cert: Subject=kubernetes-admin", "Impersonate-User: kubernetes-admin"} {
		for _, path := range []string{"/api/v1/pods", "/registry/pods/"} {
			if a := c.Do(c.Client(), "GET", path, "", header); a.Code != 401 {
				t.Errorf("%s, %s: %d %s", header, path, a.Code, a.Body)
			}
		}
	}
}

// TestTokens follows a pod's token from its making to its pod's end.
func TestTokens(t *testing.T) {
	c := gatewaytest.New(t)
	admin := c.Clientset(c.Admin)
	pod, err := admin.CoreV1().Pods("default").Create(t.Context(), gatewaytest.Pod("p", ""), metav1.CreateOptions{})
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
	holder, err := kubernetes.NewForConfig(&rest.Config{Host: c.URL, BearerToken: req.Status.Token, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA.PEM}})
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
	if _, err := c.Registry.Get(t.Context(), core.Pod, "default", "p", ""); !errors.Is(err, registry.NotFound) { // and the cache knows
		t.Fatal(err)
	}
	if s := review(); s.Authenticated {
		t.Error("the token outlives its pod")
	}
	if a := c.Do(c.Client(), "GET", "/api", "", "Authorization: Bearer "+req.Status.Token); a.Code != 401 {
		t.Errorf("the pod is gone and its token gets %d, want 401", a.Code)
	}
	if a := c.As("GET", "/openid/v1/jwks", ""); !strings.Contains(a.Body, `"kty":"EC"`) && !strings.Contains(a.Body, `"kty":"RSA"`) {
		t.Errorf("the key set is %s", a.Body)
	}
	if a := c.As("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", `{"spec":{"audiences":[],"expirationSeconds":5}}`); a.Code != 422 ||
		!strings.Contains(a.Body, "may not specify a duration less than 10 minutes") {
		t.Errorf("a short token: %d %s", a.Code, a.Body)
	}
}

// TestTokensOfDeletedObjects checks that a token is valid for a minute after the deletionTimestamp of the object that it is bound to, also
// where that object still exists.
func TestTokensOfDeletedObjects(t *testing.T) {
	c := gatewaytest.New(t)
	bound := map[string]*schema.Kind{"ServiceAccount": core.ServiceAccount, "Pod": core.Pod, "Secret": core.Secret, "Node": core.Node}
	for sort, k := range bound {
		name := strings.ToLower(sort)
		c.Make(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
		ref, namespace := "", "default"
		switch pod := gatewaytest.Pod(name, "n1"); sort {
		case "Pod":
			pod.Spec.ServiceAccountName = name
			ref = c.Make(pod).UID()
		case "Secret":
			ref = c.Make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}).UID()
		case "Node":
			namespace = ""
			ref = c.Make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}).UID()
		}
		body := `{"spec":{"audiences":[]}}`
		if ref != "" {
			body = `{"spec":{"audiences":[],"boundObjectRef":{"kind":"` + sort + `","apiVersion":"v1","name":"` + name + `","uid":"` + ref + `"}}}`
		}
		a := c.As("POST", "/api/v1/namespaces/default/serviceaccounts/"+name+"/token", body)
		var req authenticationv1.TokenRequest
		if err := json.Unmarshal([]byte(a.Body), &req); err != nil || req.Status.Token == "" {
			t.Fatalf("%s: %d %s", sort, a.Code, a.Body)
		}
		for _, tt := range []struct {
			ago  time.Duration
			code int
		}{{-time.Hour, 200}, {0, 200}, {2 * time.Minute, 401}} {
			c.Put(k, namespace, name, func(obj schema.Object) {
				at, grace := metav1.NewTime(time.Now().Add(-tt.ago)), int64(30)
				obj.SetDeletionTimestamp(&at)
				obj.SetDeletionGracePeriodSeconds(&grace)
				obj.SetFinalizers([]string{"example.com/stays"})
			})
			if a := c.Do(c.Client(), "GET", "/api", "", "Authorization: Bearer "+req.Status.Token); a.Code != tt.code {
				t.Errorf("bound to a %s that was to be deleted %v ago: %d, want %d", sort, tt.ago, a.Code, tt.code)
			}
		}
	}
}
