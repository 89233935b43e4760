package certificates_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"gantry/agents/controllers"
	"gantry/agents/controllers/controllertest"
	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/gatewayclient"
	"gantry/agents/internal/pki"
	"gantry/schema/kinds"
)

// start runs a gateway and the controllers of certificates and tokens, with the roles that every cluster has.
func start(t *testing.T) *gatewaytest.Cluster {
	t.Helper()
	c := gatewaytest.New(t)
	cfg := controllertest.Config(t, c.Registry)
	cfg.Controllers = []string{"namespace", "bootstrappolicy", "csrapproving", "csrsigning", "csrcleaner", "tokencleaner", "bootstrapsigner"}
	cfg.Authorities.All = c.CA
	pair := c.Pair("controllers", pki.Request{CommonName: "gantry-controllers"})
	client := gatewayclient.New([]string{c.URL}, &tls.Config{RootCAs: c.CA.Pool(), Certificates: []tls.Certificate{pair.Certificate}}, kinds.New(), "kube-controller-manager")
	cfg.Gateway = client
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- controllers.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("controllers ended with %v", err)
		}
	})
	return c
}

// bearer is a client with a bearer token.
func bearer(c *gatewaytest.Cluster, token string) *kubernetes.Clientset {
	c.T.Helper()
	return clientset(c, &rest.Config{BearerToken: token})
}

// holder is a client with a certificate and its key, in PEM.
func holder(c *gatewaytest.Cluster, certificate, key []byte) *kubernetes.Clientset {
	c.T.Helper()
	return clientset(c, &rest.Config{TLSClientConfig: rest.TLSClientConfig{CertData: certificate, KeyData: key}})
}

func clientset(c *gatewaytest.Cluster, conf *rest.Config) *kubernetes.Clientset {
	c.T.Helper()
	conf.Host, conf.QPS, conf.CAData = c.URL, -1, c.CA.PEM
	set, err := kubernetes.NewForConfig(conf)
	if err != nil {
		c.T.Fatal(err)
	}
	return set
}

// newRequest is a request for a subject with names and its key, in PEM.
func newRequest(t *testing.T, name, signer string, subject pkix.Name, names []string, usages ...certificatesv1.KeyUsage) (*certificatesv1.CertificateSigningRequest, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, DNSNames: names}, key)
	if err != nil {
		t.Fatal(err)
	}
	hour := int32(3600)
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certificatesv1.CertificateSigningRequestSpec{
		Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), SignerName: signer, Usages: usages, ExpirationSeconds: &hour,
	}}, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// create creates a request, waiting for the roles that allow it.
func create(c *gatewaytest.Cluster, client *kubernetes.Clientset, r *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequest {
	c.T.Helper()
	var made *certificatesv1.CertificateSigningRequest
	c.Until(func() (missing string) {
		var err error
		if made, err = client.CertificatesV1().CertificateSigningRequests().Create(c.T.Context(), r, metav1.CreateOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	return made
}

// issued waits for the certificate of a request.
func issued(c *gatewaytest.Cluster, client *kubernetes.Clientset, name string) (r *certificatesv1.CertificateSigningRequest) {
	c.T.Helper()
	c.Until(func() string {
		var err error
		if r, err = client.CertificatesV1().CertificateSigningRequests().Get(c.T.Context(), name, metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		if len(r.Status.Certificate) == 0 {
			return "the certificate of " + name
		}
		return ""
	})
	return r
}
