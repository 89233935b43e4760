package aggregate_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	registrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"gantry/agents/gateway"
	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/pki"
	"gantry/registry"
)

const version = "/apis/wardle.example.com/v1alpha1"

// server is an extension server. It answers with what it was asked and on whose behalf.
func server(w http.ResponseWriter, r *http.Request) {
	switch {
	case len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].Subject.CommonName != "front-proxy-client":
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case r.URL.Path == version:
		fmt.Fprint(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"wardle.example.com/v1alpha1","resources":[
			{"name":"flunders","singularName":"flunder","namespaced":true,"kind":"Flunder","verbs":["get","list"]},{"name":"/x"}]}`)
	case r.URL.Path == "/openapi/v3":
		fmt.Fprint(w, `{"paths":{"apis/wardle.example.com/v1alpha1":{"serverRelativeURL":"/openapi/v3/apis/wardle.example.com/v1alpha1?hash=ABC"},
			"apis/wardle.example.com":{"serverRelativeURL":"/openapi/v3/apis/wardle.example.com?hash=DEF"},
			"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=stolen"},"apis/apps/v1":{"serverRelativeURL":"https://elsewhere.example.com/"}}}`)
	case r.URL.Path == "/openapi/v3"+version:
		fmt.Fprintf(w, `{"openapi":"3.0.0","of":%q}`, r.Header.Get("X-Remote-User"))
	case r.URL.Path == "/openapi/v2":
		w.Header().Set("Etag", `"one"`)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, `{"swagger":"2.0","info":{"title":"Wardle","version":"1"},"paths":{
			"/api/v1/pods":{"get":{"operationId":"stolen","responses":{"200":{"description":"OK"}}}},
			"/apis/wardle.example.com/v1alpha1/flunders":{"get":{"operationId":"listFlunder","responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/Flunder"}}}}}},
			"definitions":{"Flunder":{"type":"object","properties":{"metadata":{"$ref":"#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}}},"Unused":{"type":"object"},
			"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta":{"type":"object","description":"another"}}}`)
	case r.URL.Path == version+"/moved":
		http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusFound)
	case r.URL.Query().Get("watch") == "1":
		fmt.Fprintln(w, `{"type":"ADDED"}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case r.Header.Get("Upgrade") != "":
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		fmt.Fprint(conn, strings.ToUpper(line))
	default:
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s?%s %q user=%q groups=%q authorization=%q", r.Method, r.URL.Path, r.URL.RawQuery, body,
			r.Header.Values("X-Remote-User"), r.Header.Values("X-Remote-Group"), r.Header.Get("Authorization"))
	}
}

// newCluster has an API service whose service leads to an extension server, which stop ends.
func newCluster(t *testing.T) (c *gatewaytest.Cluster, stop func()) {
	frontProxy, err := pki.OpenAuthority(filepath.Join(t.TempDir(), "front-proxy"), "front-proxy-ca", true)
	if err != nil {
		t.Fatal(err)
	}
	client, err := frontProxy.Ensure("client", pki.Request{CommonName: "front-proxy-client"})
	if err != nil {
		t.Fatal(err)
	}
	c = gatewaytest.New(t, func(cfg *gateway.Config) { cfg.FrontProxyClient = client.Certificate })
	s := httptest.NewUnstartedServer(http.HandlerFunc(server))
	serving := c.Pair("wardle", pki.Request{CommonName: "wardle", Server: true, DNSNames: []string{"wardle.default.svc"}})
	s.TLS = &tls.Config{Certificates: []tls.Certificate{serving.Certificate}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: frontProxy.Pool()}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	c.Make(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "wardle", Namespace: "default"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
	port := int32(s.Listener.Addr().(*net.TCPAddr).Port)
	c.Make(&registrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1alpha1.wardle.example.com"},
		Spec: registrationv1.APIServiceSpec{
			Group: "wardle.example.com", Version: "v1alpha1", GroupPriorityMinimum: 2000, VersionPriority: 200, CABundle: c.CA.PEM,
			Service: &registrationv1.ServiceReference{Namespace: "default", Name: "wardle", Port: &port},
		},
	})
	return c, func() {
		s.CloseClientConnections()
		s.Close()
	}
}

// available sets the condition that the controllers keep.
func available(t *testing.T, c *gatewaytest.Cluster, status registrationv1.ConditionStatus) {
	t.Helper()
	availableNamed(t, c, "v1alpha1.wardle.example.com", status)
}

func availableNamed(t *testing.T, c *gatewaytest.Cluster, name string, status registrationv1.ConditionStatus) {
	t.Helper()
	_, err := registry.For[*registrationv1.APIService](c.Registry).ModifyStatus(t.Context(), "", name, func(s *registrationv1.APIService) error {
		s.Status.Conditions = []registrationv1.APIServiceCondition{{Type: registrationv1.Available, Status: status, Reason: "R", LastTransitionTime: metav1.Now()}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequestsArePassedOn(t *testing.T) {
	c, stop := newCluster(t)
	admin := c.Client(c.Admin.Certificate)
	if a := c.UntilCode(admin, http.StatusServiceUnavailable, "GET", version+"/flunders", ""); a.Body != "service unavailable\n" {
		t.Errorf("what is not available answers %q", a.Body)
	}
	available(t, c, registrationv1.ConditionTrue)
	a := c.UntilCode(admin, http.StatusTeapot, "GET", version+"/namespaces/default/flunders/f?a=b", "", "X-Remote-User: root")
	want := `GET /apis/wardle.example.com/v1alpha1/namespaces/default/flunders/f?a=b "" user=["kubernetes-admin"] groups=["system:masters" "system:authenticated"] authorization=""`
	if a.Body != want {
		t.Errorf("a read is passed on as\n%s\nwant\n%s", a.Body, want)
	}
	a = c.As("POST", version+"/namespaces/default/flunders", `{"kind":"Flunder"}`)
	if a.Code != http.StatusTeapot || !a.Has(`POST /apis/wardle.example.com/v1alpha1/namespaces/default/flunders? "{\"kind\":\"Flunder\"}" user=`) {
		t.Errorf("a write is answered %d %s", a.Code, a.Body)
	}
	if a = c.As("GET", version+"/moved", ""); a.Code != http.StatusBadGateway || a.Body != "the backend attempted to redirect this request, which is not permitted" {
		t.Errorf("a redirect is answered %d %q", a.Code, a.Body)
	}
	user := c.Pair("ann", pki.Request{CommonName: "ann"})
	if a = c.Do(c.Client(user.Certificate), "GET", version+"/flunders", ""); a.Code != http.StatusForbidden {
		t.Errorf("a user without roles is answered %d %s", a.Code, a.Body)
	}
	stop()
	c.Until(func() string {
		if a := c.As("GET", version+"/flunders", ""); a.Code != http.StatusServiceUnavailable || !a.Has("error trying to reach service: ") {
			return fmt.Sprintf("without its server it is answered %d %q", a.Code, a.Body)
		}
		return ""
	})
	if err := registry.For[*registrationv1.APIService](c.Registry).Delete(t.Context(), "", "v1alpha1.wardle.example.com", registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.UntilCode(admin, http.StatusNotFound, "GET", version+"/flunders", "")
}

// Discovery names what the server serves, and goes on to when the server is gone.
func TestDiscovery(t *testing.T) {
	c, _ := newCluster(t)
	available(t, c, registrationv1.ConditionTrue)
	const aggregated = "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	found := func(freshness string) {
		t.Helper()
		c.Until(func() string {
			a := c.As("GET", "/apis", "", aggregated)
			_, rest, _ := strings.Cut(a.Body, `"wardle.example.com"`)
			if !strings.Contains(rest, `"resource":"flunders"`) || !strings.Contains(rest, `"freshness":"`+freshness+`"`) {
				return "/apis has " + rest
			}
			return ""
		})
	}
	found("Current")
	if a := c.As("GET", "/apis", ""); !a.Has(`{"name":"wardle.example.com","versions":[{"groupVersion":"wardle.example.com/v1alpha1","version":"v1alpha1"}]`) {
		t.Errorf("/apis has no such group: %s", a.Body)
	}
	if a := c.As("GET", "/apis/wardle.example.com", ""); a.Code != http.StatusOK || !a.Has(`"preferredVersion":{"groupVersion":"wardle.example.com/v1alpha1"`) {
		t.Errorf("the group is answered %d %s", a.Code, a.Body)
	}
	if a := c.As("GET", version, ""); a.Code != http.StatusOK || !a.Has(`"singularName":"flunder"`) {
		t.Errorf("the version is answered %d %s", a.Code, a.Body)
	}
	available(t, c, registrationv1.ConditionFalse)
	found("Stale")
}

// An event of a watch comes at once, and a watch has no deadline but its client's.
func TestWatch(t *testing.T) {
	c, _ := newCluster(t)
	available(t, c, registrationv1.ConditionTrue)
	c.UntilCode(c.Client(c.Admin.Certificate), http.StatusTeapot, "GET", version+"/flunders", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", c.URL+version+"/flunders?watch=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Client(c.Admin.Certificate).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "{\"type\":\"ADDED\"}\n" {
		t.Errorf("the watch begins with %q, %v", line, err)
	}
}

func TestUpgrade(t *testing.T) {
	c, _ := newCluster(t)
	available(t, c, registrationv1.ConditionTrue)
	c.UntilCode(c.Client(c.Admin.Certificate), http.StatusTeapot, "GET", version+"/flunders", "")
	conn := c.Dial(true)
	fmt.Fprintf(conn, "GET %s/flunders/f/shell HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", version)
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	fmt.Fprintln(conn, "hello")
	if line, err := in.ReadString('\n'); res.StatusCode != http.StatusSwitchingProtocols || line != "HELLO\n" {
		t.Errorf("an upgrade is answered %d, then %q, %v", res.StatusCode, line, err)
	}
}

// The gateway's documents tell of what the server serves, and of that alone.
func TestOpenAPI(t *testing.T) {
	c, _ := newCluster(t)
	before := c.As("GET", "/openapi/v3", "")
	available(t, c, registrationv1.ConditionTrue)
	c.Until(func() string {
		a := c.As("GET", "/openapi/v3", "")
		if !a.Has(`"apis/wardle.example.com/v1alpha1":{"serverRelativeURL":"/openapi/v3/apis/wardle.example.com/v1alpha1?hash=ABC"}`) {
			return "the index to list the server's document"
		}
		if !a.Has(`"apis/wardle.example.com":{"serverRelativeURL":"/openapi/v3/apis/wardle.example.com?hash=DEF"}`) || a.Has("stolen") || a.Has("elsewhere") {
			t.Fatalf("the index is %s", a.Body)
		}
		return ""
	})
	if before.Has("wardle") {
		t.Errorf("the index lists what has not answered: %s", before.Body)
	}
	if a := c.As("GET", "/openapi/v3"+version+"?hash=ABC", ""); a.Code != http.StatusOK || a.Body != `{"openapi":"3.0.0","of":"kubernetes-admin"}` {
		t.Errorf("the server's document is answered %d %s", a.Code, a.Body)
	}
	const name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
	c.Until(func() string {
		a := c.As("GET", "/openapi/v2", "")
		var doc struct {
			Paths       map[string]any
			Definitions map[string]struct {
				Description string
				Properties  map[string]map[string]any
			}
		}
		if err := json.Unmarshal([]byte(a.Body), &doc); err != nil {
			t.Fatal(err)
		}
		switch {
		case doc.Paths["/apis/wardle.example.com/v1alpha1/flunders"] == nil:
			return "the swagger document to have the server's paths"
		case a.Has("stolen"), doc.Definitions[name].Description == "another", doc.Definitions["Unused"].Description != "":
			t.Fatal("the swagger document has of the server's what is not about its version")
		}
		if ref := doc.Definitions["Flunder"].Properties["metadata"]["$ref"]; ref != "#/definitions/"+name+"_v2" || doc.Definitions[name+"_v2"].Description != "another" {
			t.Fatalf("metadata of the server's kind is %v", ref)
		}
		return ""
	})
	if a := c.As("GET", "/openapi/v2", "", "Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf"); a.Code != http.StatusOK || !a.Has("listFlunder") {
		t.Errorf("the protobuf form is answered %d, without the server's operations", a.Code)
	}
}

// A server that hangs, and one whose answers are no documents, neither delay nor break what is told of others.
func TestOthersAreFoundBesideFaultyServers(t *testing.T) {
	c, _ := newCluster(t)
	asked := make(chan struct{}, 100)
	faulty := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "hangs"):
			asked <- struct{}{}
			<-r.Context().Done()
		case r.URL.Path == "/apis/garbage.example.com/v1":
			fmt.Fprint(w, `{"resources":[{"name":"gs","kind":"G"}]}`)
		default:
			fmt.Fprint(w, `{"swagger":2,"paths":{"/":`)
		}
	}))
	pair := c.Pair("faulty", pki.Request{CommonName: "faulty", Server: true, DNSNames: []string{"wardle.default.svc"}})
	faulty.TLS = &tls.Config{Certificates: []tls.Certificate{pair.Certificate}}
	faulty.StartTLS()
	t.Cleanup(func() {
		faulty.CloseClientConnections()
		faulty.Close()
	})
	port := int32(faulty.Listener.Addr().(*net.TCPAddr).Port)
	for _, group := range []string{"hangs.example.com", "garbage.example.com"} {
		name := "v1." + group
		c.Make(&registrationv1.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: registrationv1.APIServiceSpec{Group: group, Version: "v1", GroupPriorityMinimum: 2000, VersionPriority: 200, CABundle: c.CA.PEM,
				Service: &registrationv1.ServiceReference{Namespace: "default", Name: "wardle", Port: &port}},
		})
		availableNamed(t, c, name, registrationv1.ConditionTrue)
	}
	<-asked
	available(t, c, registrationv1.ConditionTrue)
	c.Until(func() string {
		switch {
		case !c.As("GET", version, "").Has(`"flunders"`):
			return "the resources of the server that answers"
		case !c.As("GET", "/apis/garbage.example.com/v1", "").Has(`"gs"`):
			return "the resources of the server without descriptions"
		case !c.As("GET", "/openapi/v2", "").Has("listFlunder"), !c.As("GET", "/openapi/v3", "").Has("hash=ABC"):
			return "the description of the server that answers"
		}
		return ""
	})
}
