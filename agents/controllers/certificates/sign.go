package certificates

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/controllers/controller"
	"gantry/agents/internal/loop"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/certificates"
)

// Authority signs certificates; *pki.Authority.
type Authority interface {
	// CanSign returns whether its key is here; KeyFile is where the key is looked for.
	CanSign() bool
	KeyFile() string
	// NotAfter is when its own certificate expires.
	NotAfter() time.Time
	// Sign makes a certificate of a template, in PEM.
	Sign(template *x509.Certificate) ([]byte, error)
}

// Authorities are who signs.
type Authorities struct {
	// All signs the requests of every signer that is not in Of; nil: nobody does.
	All Authority
	// Of signs those of one signer, by its name.
	Of map[string]Authority
	// Longest is the longest lifetime of a certificate; 0: DefaultLifetime.
	Longest time.Duration
}

// For is who signs the requests of a signer; nil: nobody.
func (a Authorities) For(signer string) Authority {
	if own := a.Of[signer]; own != nil {
		return own
	}
	return a.All
}

// signers are the signers whose requests are signed here, each with what its requests must be; nil: anything.
var signers = map[string]func(*x509.CertificateRequest, []certificatesv1.KeyUsage) error{
	certificatesv1.KubeAPIServerClientSignerName:        func(_ *x509.CertificateRequest, u []certificatesv1.KeyUsage) error { return checkClientUsages(u) },
	certificatesv1.KubeAPIServerClientKubeletSignerName: checkKubeletClient,
	certificatesv1.KubeletServingSignerName:             checkKubeletServing,
	certificatesv1beta1.LegacyUnknownSignerName:         nil, // of v1beta1 alone: v1 lets nobody request it
}

// signer has the names of requests as keys.
type signer struct {
	*controller.Env
	authorities Authorities
}

// NewSigner signs the approved requests of signers with authorities. Where an authority's key is absent it says so in the log and on each request.
func NewSigner(authorities Authorities) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler {
		if authorities.All == nil && len(authorities.Of) == 0 {
			return controller.Idle()
		}
		if a := authorities.All; a != nil && !a.CanSign() {
			e.Log.Warn("certificate signing requests are not signed: the authority's key is absent", "file", a.KeyFile())
		}
		c := signer{e, authorities}
		return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: certificates.CertificateSigningRequest, Keys: func(_, current schema.Object) {
			if r, ok := current.(*request); ok && isSignable(r) && authorities.For(r.Spec.SignerName) != nil {
				c.Enqueue(r.Name, 0)
			}
		}}}}
	}
}

// isSignable returns whether a request awaits the signature of one of signers.
func isSignable(r *request) bool {
	_, ours := signers[r.Spec.SignerName]
	return ours && awaitsSignature(r)
}

func (c signer) reconcile(ctx context.Context, name string) (time.Duration, error) {
	r, err := registry.For[*request](c.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil || !isSignable(r) {
		return 0, err
	}
	authority := c.authorities.For(r.Spec.SignerName)
	if authority == nil {
		return 0, nil
	}
	if !authority.CanSign() {
		c.Record(&controller.Event{Kind: certificates.CertificateSigningRequest, About: r, Warning: true, Reason: "SigningKeyMissing",
			Message: fmt.Sprintf("The controllers that lead run where %s is absent: they sign nothing. Copy the key there, or run the controllers where it is.", authority.KeyFile())})
		return 0, nil
	}
	parsed, err := certificates.ParseSignedRequest(r.Spec.Request)
	if err != nil {
		return 0, loop.Terminal(fmt.Errorf("reading certificate signing request %s: %w", name, err))
	}
	now := time.Now()
	if err := checkSigner(r, parsed); err != nil {
		return 0, c.Execute(ctx, planFailure(r, err, now))
	}
	t, err := template(parsed, r.Spec.Usages, lifetime(r.Spec.ExpirationSeconds, cmp.Or(c.authorities.Longest, DefaultLifetime)), authority.NotAfter(), now)
	if err != nil {
		return 0, fmt.Errorf("signing certificate signing request %s: %w", name, err)
	}
	certificate, err := authority.Sign(t)
	if err != nil {
		return 0, fmt.Errorf("signing certificate signing request %s: %w", name, err)
	}
	return 0, c.Execute(ctx, planCertificate(r, certificate, t))
}

// checkSigner returns why the signer of a request does not sign it.
func checkSigner(r *request, parsed *x509.CertificateRequest) error {
	if check := signers[r.Spec.SignerName]; check != nil {
		return check(parsed, r.Spec.Usages)
	}
	return nil
}

func planFailure(r *request, err error, now time.Time) []controller.Action {
	changed := r.DeepCopy()
	changed.Status.Conditions = append(changed.Status.Conditions, condition{
		Type: certificatesv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: "SignerValidationFailure", Message: err.Error(), LastUpdateTime: metav1.NewTime(now),
	})
	return []controller.Action{{Do: controller.UpdateStatus, Kind: certificates.CertificateSigningRequest, Object: changed, Reason: "its signer refuses it: " + err.Error()}}
}

func planCertificate(r *request, certificate []byte, t *x509.Certificate) []controller.Action {
	changed := r.DeepCopy()
	changed.Status.Certificate = certificate
	return []controller.Action{{Do: controller.UpdateStatus, Kind: certificates.CertificateSigningRequest, Object: changed,
		Reason: fmt.Sprintf("it is approved; signed for %s until %s", t.Subject.CommonName, t.NotAfter.UTC().Format(time.RFC3339))}}
}
