package certs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// AddControllers adds the controllers of all kinds to the manager. namespace has the ClusterIssuers' Secrets; without one there are no ClusterIssuers.
func AddControllers(m ctrl.Manager, namespace string) error {
	c := m.GetClient()
	signer := ctrl.NewControllerManagedBy(m).For(&CertificateRequest{}).Watches(&Issuer{}, handler.EnqueueRequestsFromMapFunc(requestsOf(c)))
	if namespace != "" {
		signer = signer.Watches(&ClusterIssuer{}, handler.EnqueueRequestsFromMapFunc(requestsOf(c)))
		of := issuers{c, namespace, func() client.Object { return &ClusterIssuer{} }}
		if err := ctrl.NewControllerManagedBy(m).For(&ClusterIssuer{}).Complete(of); err != nil {
			return err
		}
	}
	return errors.Join(
		signer.Complete(requests{c, namespace}),
		ctrl.NewControllerManagedBy(m).For(&Issuer{}).Complete(issuers{c, "", func() client.Object { return &Issuer{} }}),
		ctrl.NewControllerManagedBy(m).For(&Certificate{}).Owns(&CertificateRequest{}).Owns(&corev1.Secret{}).Complete(certificates{c}),
	)
}

// issuers says whether an issuer's Secret is there.
type issuers struct {
	client.Client
	namespace string
	empty     func() client.Object
}

// Reconcile is reconcile.Reconciler's.
func (r issuers) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	o := r.empty()
	if err := r.Get(ctx, req.NamespacedName, o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := o.DeepCopyObject().(client.Object)
	spec, status := issuerOf(o)
	if _, err := authority(ctx, r.Client, spec, cmp.Or(req.Namespace, r.namespace), nil); err != nil {
		setReady(status, o.GetGeneration(), metav1.ConditionFalse, "ErrGetKeyPair", err.Error())
	} else {
		setReady(status, o.GetGeneration(), metav1.ConditionTrue, "KeyPairVerified", "Signing CA verified")
	}
	err := r.Status().Patch(ctx, o, client.MergeFrom(before))
	if meta.IsStatusConditionTrue(status.Conditions, "Ready") {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: time.Second}, err
}

// requests signs CertificateRequests.
type requests struct {
	client.Client
	namespace string
}

// Reconcile is reconcile.Reconciler's.
func (r requests) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	q := &CertificateRequest{}
	if err := r.Get(ctx, req.NamespacedName, q); err != nil || q.Status.Certificate != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := q.DeepCopyObject().(client.Object)
	if err := r.sign(ctx, q); err != nil {
		setReady(&q.Status.Status, q.Generation, metav1.ConditionFalse, "Pending", err.Error())
	} else {
		setReady(&q.Status.Status, q.Generation, metav1.ConditionTrue, "Issued", "Certificate fetched from issuer successfully")
	}
	return ctrl.Result{}, r.Status().Patch(ctx, q, client.MergeFrom(before))
}

func (r requests) sign(ctx context.Context, q *CertificateRequest) error {
	var issuer client.Object = &Issuer{}
	key, namespace := client.ObjectKey{Namespace: q.Namespace, Name: q.Spec.IssuerRef.Name}, q.Namespace
	if q.Spec.IssuerRef.Kind == "ClusterIssuer" {
		issuer, key.Namespace, namespace = &ClusterIssuer{}, "", r.namespace
	}
	if err := r.Get(ctx, key, issuer); err != nil {
		return err
	}
	spec, status := issuerOf(issuer)
	if !meta.IsStatusConditionTrue(status.Conditions, "Ready") {
		return fmt.Errorf("the issuer %s is not ready", key.Name)
	}
	var own []byte
	if spec.CA == nil {
		secret := &corev1.Secret{}
		if err := r.Get(ctx, client.ObjectKey{Namespace: q.Namespace, Name: q.Name + "-key"}, secret); err != nil {
			return err
		}
		own = secret.Data[corev1.TLSPrivateKeyKey]
	}
	ca, err := authority(ctx, r.Client, spec, namespace, own)
	if err != nil {
		return err
	}
	life := 24 * time.Hour
	if q.Spec.Duration != nil {
		life = q.Spec.Duration.Duration
	}
	q.Status.Certificate, err = Sign(q.Spec.Request, ca, q.Spec.IsCA, life)
	if q.Status.CA = ca.Certificate; ca.Certificate == nil {
		q.Status.CA = q.Status.Certificate
	}
	return err
}

// authority is the pair that signs; own is the key of what an issuer of self-signed certificates signs.
func authority(ctx context.Context, c client.Reader, spec *IssuerSpec, namespace string, own []byte) (Pair, error) {
	if spec.CA == nil {
		return Pair{Key: own}, nil
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: spec.CA.SecretName}, secret); err != nil {
		return Pair{}, err
	}
	_, err := Parse(secret.Data[corev1.TLSCertKey])
	return Pair{secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]}, err
}

// requestsOf lists the requests that may wait for an issuer.
func requestsOf(c client.Client) handler.MapFunc {
	return func(ctx context.Context, issuer client.Object) (found []reconcile.Request) {
		var list CertificateRequestList
		if err := c.List(ctx, &list, client.InNamespace(issuer.GetNamespace())); err != nil {
			return nil
		}
		for _, q := range list.Items {
			if q.Spec.IssuerRef.Name == issuer.GetName() && q.Status.Certificate == nil {
				found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&q)})
			}
		}
		return found
	}
}

func issuerOf(o client.Object) (*IssuerSpec, *Status) {
	if i, ok := o.(*Issuer); ok {
		return &i.Spec, &i.Status
	}
	i := o.(*ClusterIssuer)
	return &i.Spec, &i.Status
}
