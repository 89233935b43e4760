package certificates

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/certificates"
)

// How long requests are kept after they were created, or their condition was last updated.
const (
	pendingLife  = 24 * time.Hour // not decided, or approved and not issued
	deniedLife   = time.Hour      // also failed
	approvedLife = time.Hour      // and issued
)

// cleaner has the names of requests as keys.
type cleaner struct{ *controller.Env }

// NewCleaner deletes requests that have served: issued, denied or failed for an hour, pending for a day, or whose certificate has expired.
func NewCleaner(e *controller.Env) controller.Reconciler {
	c := cleaner{e}
	return controller.Reconciler{Reconcile: c.reconcile, Watches: []controller.Watch{{Kind: certificates.CertificateSigningRequest, Keys: func(_, current schema.Object) {
		if current != nil {
			c.Enqueue(current.GetName(), 0)
		}
	}}}}
}

func (c cleaner) reconcile(ctx context.Context, name string) (time.Duration, error) {
	r, err := registry.For[*request](c.Registry).Cached(ctx, "", name)
	if errors.Is(err, registry.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	plan, after := planClean(r, time.Now())
	return after, c.Execute(ctx, plan)
}

// planClean deletes a request whose time is up. after is when that is; 0: never.
func planClean(r *request, now time.Time) (plan []controller.Action, after time.Duration) {
	if r.DeletionTimestamp != nil {
		return nil, 0
	}
	end, reason := endOf(r)
	switch {
	case end.IsZero():
		return nil, 0
	case !now.After(end):
		return nil, end.Sub(now) + time.Millisecond // after it, not at it
	}
	return []controller.Action{{Do: controller.Delete, Kind: certificates.CertificateSigningRequest, Object: r, Reason: reason,
		// One that was decided or issued meanwhile is kept.
		DeleteOptions: registry.DeleteOptions{ResourceVersion: r.ResourceVersion}}}, 0
}

// endOf is when a request is to be deleted, and why: the earliest of what its conditions say. Times that are not set do not count.
func endOf(r *request) (end time.Time, reason string) {
	by := func(since time.Time, life time.Duration, why string) {
		if t := since.Add(life); !since.IsZero() && (end.IsZero() || t.Before(end)) {
			end, reason = t, why
		}
	}
	if len(r.Status.Conditions) == 0 {
		by(r.CreationTimestamp.Time, pendingLife, "nobody decided it for a day")
	}
	for _, c := range r.Status.Conditions {
		switch {
		case c.Type == certificatesv1.CertificateDenied:
			by(c.LastUpdateTime.Time, deniedLife, "it was denied an hour ago")
		case c.Type == certificatesv1.CertificateFailed:
			by(c.LastUpdateTime.Time, deniedLife, "it failed an hour ago")
		case c.Type != certificatesv1.CertificateApproved:
		case isIssued(r):
			by(c.LastUpdateTime.Time, approvedLife, "it was approved an hour ago, and is issued")
			by(certificateEnd(r.Status.Certificate), 0, "its certificate has expired")
		default:
			by(c.LastUpdateTime.Time, pendingLife, "it was approved a day ago, and is not issued")
		}
	}
	return end, reason
}

// certificateEnd is when the first of certificates in PEM expires; zero where it cannot be read.
func certificateEnd(text []byte) time.Time {
	block, _ := pem.Decode(text)
	if block == nil {
		return time.Time{}
	}
	all, err := x509.ParseCertificates(block.Bytes)
	if err != nil || len(all) == 0 {
		return time.Time{}
	}
	return all[0].NotAfter
}
