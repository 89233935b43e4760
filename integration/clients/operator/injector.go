package main

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// injectFrom is the annotation with namespace/name of the Secret.
const injectFrom = "certs.example.com/inject-ca-from-secret"

// injected has the kinds whose objects get a caBundle, with the field that has one or the list whose members have.
var injected = map[schema.GroupVersionKind][]string{
	{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "MutatingWebhookConfiguration"}:   {"webhooks", "clientConfig"},
	{Group: "admissionregistration.k8s.io", Version: "v1", Kind: "ValidatingWebhookConfiguration"}: {"webhooks", "clientConfig"},
	{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}:               {"spec", "conversion", "webhook", "clientConfig"},
	{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}:                           {"spec"},
}

func runInjector(ctx context.Context, o options) error {
	m, err := newManager(o, "certs-cainjector", nil)
	if err != nil {
		return err
	}
	for kind, path := range injected {
		i := injector{m.GetClient(), kind, path}
		if err := ctrl.NewControllerManagedBy(m).For(i.empty()).Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(i.usersOf)).Complete(i); err != nil {
			return err
		}
	}
	return m.Start(ctx)
}

// injector writes the authority of the Secret that an object of its kind names into the object.
type injector struct {
	client.Client
	kind schema.GroupVersionKind
	path []string
}

func (i injector) empty() *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(i.kind)
	return o
}

// Reconcile is reconcile.Reconciler's.
func (i injector) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	o := i.empty()
	if err := i.Get(ctx, req.NamespacedName, o); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	namespace, name, ok := strings.Cut(o.GetAnnotations()[injectFrom], "/")
	if !ok {
		return ctrl.Result{}, nil
	}
	secret := &corev1.Secret{}
	if err := i.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err) // its creation comes
	}
	before := o.DeepCopy()
	if err := setBundle(o, i.path, secret.Data[corev1.ServiceAccountRootCAKey]); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, i.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// setBundle sets caBundle in the object at path; where its first field is a list, in each of its members.
func setBundle(o *unstructured.Unstructured, path []string, ca []byte) error {
	text := base64.StdEncoding.EncodeToString(ca)
	list, ok := o.Object[path[0]].([]any)
	if !ok {
		if _, ok, _ := unstructured.NestedMap(o.Object, path...); !ok {
			return nil // no webhook converts
		}
		return unstructured.SetNestedField(o.Object, text, append(append([]string{}, path...), "caBundle")...)
	}
	for _, member := range list {
		hook, ok := member.(map[string]any)
		if !ok {
			return errors.New("a webhook is not an object")
		}
		if err := unstructured.SetNestedField(hook, text, append(append([]string{}, path[1:]...), "caBundle")...); err != nil {
			return err
		}
	}
	return nil
}

// usersOf lists the objects that name the Secret.
func (i injector) usersOf(ctx context.Context, secret client.Object) (found []reconcile.Request) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(i.kind)
	if err := i.List(ctx, list); err != nil {
		return nil
	}
	for _, o := range list.Items {
		if o.GetAnnotations()[injectFrom] == secret.GetNamespace()+"/"+secret.GetName() {
			found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&o)})
		}
	}
	return found
}
