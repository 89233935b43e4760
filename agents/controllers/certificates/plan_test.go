package certificates

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"gantry/agents/controllers/plantest"
	"gantry/schema/certificates"
)

// subject is what a PKCS #10 request asks for.
type subject struct {
	CommonName          string   `json:"cn"`
	Organizations       []string `json:"o"`
	DNS, IP, Email, URI []string
}

// pemRequest is a request for a subject, signed by a fresh key.
func pemRequest(t *testing.T, s subject) []byte {
	t.Helper()
	r := &x509.CertificateRequest{Subject: pkix.Name{CommonName: s.CommonName, Organization: s.Organizations}, DNSNames: s.DNS, EmailAddresses: s.Email}
	for _, ip := range s.IP {
		r.IPAddresses = append(r.IPAddresses, net.ParseIP(ip))
	}
	for _, text := range s.URI {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		r.URIs = append(r.URIs, u)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, r, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// describe is a certificate in lines.
func describe(c *x509.Certificate) string {
	var b strings.Builder
	fmt.Fprintf(&b, "subject %s\nvalid from %s until %s\nusage %b, extended %v, authority %v\n", c.Subject,
		c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), c.KeyUsage, c.ExtKeyUsage, c.IsCA)
	for _, name := range c.DNSNames {
		fmt.Fprintf(&b, "DNS %s\n", name)
	}
	for _, ip := range c.IPAddresses {
		fmt.Fprintf(&b, "IP %s\n", ip)
	}
	for _, u := range c.URIs {
		fmt.Fprintf(&b, "URI %s\n", u)
	}
	return b.String()
}

// A case has what is requested ("subject"), the request, and "end", when the authority expires. Wanted is which permission approves it, and the
// certificate or the failure once it is approved.
func TestSigning(t *testing.T) {
	plantest.Golden(t, "sign", func(t *testing.T, files map[string]string) string {
		r := plantest.Parse[request](t, files["request"])[0]
		var s subject
		if err := yaml.UnmarshalStrict([]byte(files["subject"]), &s); err != nil {
			t.Fatal(err)
		}
		r.Spec.Request = pemRequest(t, s)
		parsed, err := certificates.ParseSignedRequest(r.Spec.Request)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, p := range recognize(r, parsed) {
			b.WriteString(plantest.Lines(planApproval(r, p)))
		}
		if err := checkSigner(r, parsed); err != nil {
			plan := planFailure(r, err, plantest.Now)
			return b.String() + plantest.Lines(plan) + conditions(plan[0].Object.(*request))
		}
		end := plantest.Now.AddDate(10, 0, 0)
		if text := strings.TrimSpace(files["end"]); text != "" {
			if end, err = time.Parse(time.RFC3339, text); err != nil {
				t.Fatal(err)
			}
		}
		c, err := template(parsed, r.Spec.Usages, lifetime(r.Spec.ExpirationSeconds, DefaultLifetime), end, plantest.Now)
		if err != nil {
			return b.String() + err.Error() + "\n"
		}
		return b.String() + plantest.Lines(planCertificate(r, []byte("x"), c)) + describe(c)
	})
}

func conditions(r *request) string {
	var b strings.Builder
	for _, c := range r.Status.Conditions {
		fmt.Fprintf(&b, "  %s %s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	return b.String()
}

// A case is a list of requests at noon on July 1st.
func TestCleaning(t *testing.T) {
	expired := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfSigned(t, plantest.Now.Add(-time.Second))})
	valid := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfSigned(t, plantest.Now.Add(10*time.Minute))})
	plantest.Golden(t, "clean", func(t *testing.T, files map[string]string) string {
		var b strings.Builder
		for _, r := range plantest.Parse[request](t, files["requests"]) {
			switch string(r.Status.Certificate) { // the words in base64
			case "expired!":
				r.Status.Certificate = expired
			case "valid!":
				r.Status.Certificate = valid
			}
			plan, after := planClean(r, plantest.Now)
			fmt.Fprintf(&b, "%s: after %s\n%s", r.Name, after, plantest.Lines(plan))
			for _, a := range plan {
				if a.DeleteOptions.ResourceVersion != r.ResourceVersion {
					t.Errorf("%s is deleted whatever its revision", r.Name)
				}
			}
		}
		return b.String()
	})
}

func selfSigned(t *testing.T, end time.Time) []byte {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
