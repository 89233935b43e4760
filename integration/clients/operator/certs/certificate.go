package certs

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Finalizer is on Certificates that are in their namespace's inventory.
const Finalizer = "certs.example.com/inventory"

// Inventory is the name of a namespace's config map of issued certificates, by their serial numbers. The Certificates do not own it.
const Inventory = "certificates"

// certificates keeps each Certificate's Secret and status.
type certificates struct{ client.Client }

// Reconcile is reconcile.Reconciler's.
func (r certificates) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	c := &Certificate{}
	if err := r.Get(ctx, req.NamespacedName, c); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if c.DeletionTimestamp != nil {
		if err := r.inventory(ctx, c, ""); err != nil {
			return ctrl.Result{}, err
		}
		if controllerutil.RemoveFinalizer(c, Finalizer) {
			return ctrl.Result{}, client.IgnoreNotFound(r.Update(ctx, c))
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(c, Finalizer) {
		return ctrl.Result{}, r.Update(ctx, c) // it comes again
	}
	before := c.DeepCopyObject().(*Certificate)
	if err := r.issue(ctx, c); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, r.Status().Patch(ctx, c, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// issue creates the next thing that is missing: the key, the request or the Secret; and sets the status.
func (r certificates) issue(ctx context.Context, c *Certificate) error {
	secret := &corev1.Secret{}
	err := r.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: c.Spec.SecretName}, secret)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if cert, err := Parse(secret.Data[corev1.TLSCertKey]); err == nil && slices.Equal(cert.DNSNames, c.Spec.DNSNames) {
		after := metav1.NewTime(cert.NotAfter)
		c.Status.NotAfter, c.Status.Serial, c.Status.Revision = &after, cert.SerialNumber.String(), c.Generation
		setReady(&c.Status.Status, c.Generation, metav1.ConditionTrue, "Ready", "Certificate is up to date and has not expired")
		return r.inventory(ctx, c, c.Status.Serial)
	}
	setReady(&c.Status.Status, c.Generation, metav1.ConditionFalse, "DoesNotExist", "Issuing certificate as Secret does not exist")
	key := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: fmt.Sprintf("%s-%d-key", c.Name, c.Generation)}}
	if _, err := controllerutil.CreateOrUpdate(ctx, r.Client, key, func() error {
		if key.Data == nil {
			text, err := NewKey()
			if err != nil {
				return err
			}
			key.Data = map[string][]byte{corev1.TLSPrivateKeyKey: text}
		}
		return controllerutil.SetControllerReference(c, key, r.Scheme())
	}); err != nil {
		return err
	}
	request := &CertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: fmt.Sprintf("%s-%d", c.Name, c.Generation)}}
	switch err := r.Get(ctx, client.ObjectKeyFromObject(request), request); {
	case apierrors.IsNotFound(err):
		text, err := NewRequest(key.Data[corev1.TLSPrivateKeyKey], c.Spec.DNSNames)
		if err != nil {
			return err
		}
		request.Spec = RequestSpec{Request: text, IsCA: c.Spec.IsCA, Duration: c.Spec.Duration, IssuerRef: c.Spec.IssuerRef}
		if err := controllerutil.SetControllerReference(c, request, r.Scheme()); err != nil {
			return err
		}
		return client.IgnoreAlreadyExists(r.Create(ctx, request))
	case err != nil:
		return err
	case request.Status.Certificate == nil:
		return nil // its change comes
	}
	secret.Namespace, secret.Name, secret.Type = c.Namespace, c.Spec.SecretName, corev1.SecretTypeTLS
	_, err = controllerutil.CreateOrUpdate(ctx, r.Client, secret, func() error {
		secret.Data = map[string][]byte{
			corev1.TLSCertKey: request.Status.Certificate, corev1.TLSPrivateKeyKey: key.Data[corev1.TLSPrivateKeyKey], corev1.ServiceAccountRootCAKey: request.Status.CA,
		}
		return controllerutil.SetControllerReference(c, secret, r.Scheme())
	})
	return err
}

// inventory writes or removes the Certificate's line.
func (r certificates) inventory(ctx context.Context, c *Certificate, serial string) error {
	if serial != "" {
		return r.Apply(ctx, applycorev1.ConfigMap(Inventory, c.Namespace).WithData(map[string]string{c.Name: serial}), client.FieldOwner("certs-"+c.Name))
	}
	list := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: Inventory}}
	patch := fmt.Sprintf(`{"data":{%q:null}}`, c.Name)
	return client.IgnoreNotFound(r.Patch(ctx, list, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

func setReady(s *Status, generation int64, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: "Ready", Status: status, ObservedGeneration: generation, Reason: reason, Message: message})
}
