package gateway_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/gateway/request"
)

// TestContentTypes checks that a body is decoded by its content type, and that the types that a page of another site may send without a
// preflight request are refused.
func TestContentTypes(t *testing.T) {
	c := gatewaytest.New(t)
	c.Make(gatewaytest.Pod("p", ""))
	admin := c.Client(c.Admin.Certificate)
	const (
		ns   = "/api/v1/namespaces/default/"
		want = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf","reason":"UnsupportedMediaType","code":415}`
	)
	foreign := []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/plain; charset=utf-8", "text/yaml", "application/*", "nonsense/;"}
	for _, route := range [][2]string{
		{"POST", ns + "configmaps"}, {"PUT", ns + "configmaps/a"}, {"PUT", "/registry/configmaps/default/a"}, {"DELETE", ns + "pods/p"}, {"DELETE", ns + "pods"},
		{"PUT", ns + "pods/p/status"}, {"POST", ns + "pods/p/binding"}, {"POST", ns + "bindings"}, {"POST", ns + "pods/p/eviction"},
		{"POST", ns + "serviceaccounts/default/token"}, {"PUT", "/apis/apps/v1/namespaces/default/deployments/d/scale"}, {"PUT", "/api/v1/namespaces/default/finalize"},
		{"POST", "/apis/authentication.k8s.io/v1/tokenreviews"}, {"POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"},
	} {
		for _, media := range foreign {
			a := c.Do(admin, route[0], route[1], `{"metadata":{"name":"a"}}`, "Content-Type: "+media)
			if a.Code != 415 || a.Body != want {
				t.Errorf("%s %s as %q: %d %s", route[0], route[1], media, a.Code, a.Body)
			}
		}
	}
	for i, media := range []string{"application/json", "application/json; charset=utf-8", "", "application/yaml"} {
		if a := c.Do(admin, "POST", ns+"configmaps", fmt.Sprintf(`{"metadata":{"name":"m%d"}}`, i), "Content-Type: "+media); a.Code != 201 {
			t.Errorf("%q: %d %s", media, a.Code, a.Body)
		}
	}
	// Where there is no body its type is of no matter.
	for i, media := range foreign {
		if a := c.Do(admin, "DELETE", fmt.Sprint(ns, "configmaps/m", i), "", "Content-Type: "+media); i < 4 && a.Code != 200 || i >= 4 && a.Code != 404 {
			t.Errorf("DELETE without a body as %q: %d %s", media, a.Code, a.Body)
		}
	}
}

// TestBrokenBodies checks that a body that cannot be read is a bad request.
func TestBrokenBodies(t *testing.T) {
	c := gatewaytest.New(t)
	const maps = "/api/v1/namespaces/default/configmaps"
	for _, tt := range []struct{ name, head, body, want string }{
		{"no chunk", "Transfer-Encoding: chunked", "zz\r\n", "error reading the request body: "},
		{"a chunk that does not end", "Transfer-Encoding: chunked", "2\r\n{}x", "error reading the request body: "},
		{"a chunk cut off", "Transfer-Encoding: chunked", "5\r\n{", "error reading the request body: unexpected EOF"},
		{"cut off", "Content-Length: 100", "{", "error reading the request body: unexpected EOF"},
	} {
		for _, route := range []string{"POST " + maps, "PUT " + maps + "/a", "PATCH " + maps + "/a", "DELETE " + maps + "/a", "POST /api/v1/namespaces/default/pods/p/eviction"} {
			t.Run(tt.name+" "+strings.Fields(route)[0], func(t *testing.T) {
				conn, err := tls.Dial("tcp", strings.TrimPrefix(c.URL, "https://"), &tls.Config{
					RootCAs: c.CA.Pool(), Certificates: []tls.Certificate{c.Admin.Certificate}, NextProtos: []string{"http/1.1"}})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				media := request.JSONType
				if strings.HasPrefix(route, "PATCH") {
					media = "application/merge-patch+json"
				}
				if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n%s\r\n\r\n%s", route, media, tt.head, tt.body); err != nil {
					t.Fatal(err)
				}
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != 400 || !strings.Contains(string(b), `"reason":"BadRequest"`) || !strings.Contains(string(b), tt.want) {
					t.Errorf("got %s %s\nwant 400 %s", resp.Status, b, tt.want)
				}
			})
		}
	}
}

// TestPatchAnswers holds the answers to patches against Kubernetes'.
func TestPatchAnswers(t *testing.T) {
	c := gatewaytest.New(t)
	if a := c.As("POST", "/api/v1/namespaces/default/configmaps", cm); a.Code != 201 {
		t.Fatalf("making a: %d %s", a.Code, a.Body)
	}
	deployment := `{"metadata":{"name":"d"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
	if a := c.As("POST", "/apis/apps/v1/namespaces/default/deployments", deployment); a.Code != 201 {
		t.Fatalf("making d: %d %s", a.Code, a.Body)
	}
	const (
		a     = "/api/v1/namespaces/default/configmaps/a"
		d     = "/apis/apps/v1/namespaces/default/deployments/d"
		media = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"415: Unsupported Media Type","reason":"UnsupportedMediaType","details":{},"code":415}`
		wrong = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server rejected our request due to an error in our request","reason":"Invalid","details":{},"code":422}`
	)
	for _, tt := range []struct {
		name, path, media, body string
		code                    int
		want                    string
	}{
		{"apply in CBOR", a + "?fieldManager=x&force=true", "application/apply-patch+cbor", cm, 415, media},
		{"no type", a + "?dryRun=nonsense", "", "{}", 415, media},
		{"a failed test", a, "application/json-patch+json", `[{"op":"test","path":"/data/k","value":"w"}]`, 422, wrong},
		{"a path that is not there", a, "application/json-patch+json", `[{"op":"remove","path":"/data/none"}]`, 422, wrong},
		{"another kind's name, strategic", d + "/scale", "application/strategic-merge-patch+json", `{"kind":"Deployment","apiVersion":"apps/v1","spec":{"replicas":3}}`, 200,
			`"spec":{"replicas":3}`},
		{"an object's own, strategic", d, "application/strategic-merge-patch+json", `{"kind":"ReplicaSet","metadata":{"labels":{"x":"y"}}}`, 200, `"labels":{"x":"y"}`},
		{"another kind's name, merge", d + "/scale", "application/merge-patch+json", `{"kind":"Deployment","spec":{"replicas":4}}`, 422, `"reason":"Invalid"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.As("PATCH", tt.path, tt.body, "Content-Type: "+tt.media)
			if got.Code != tt.code {
				t.Fatalf("%d %s, want %d", got.Code, got.Body, tt.code)
			}
			if strings.HasPrefix(tt.want, "{") {
				if diff := cmp.Diff(tt.want, got.Body); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
			} else if !strings.Contains(got.Body, tt.want) {
				t.Errorf("got %s\nwant in it %s", got.Body, tt.want)
			}
		})
	}
}
