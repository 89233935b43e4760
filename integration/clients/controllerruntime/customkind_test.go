package controllerruntime

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"gantry/integration/clients/cluster"
	"gantry/integration/clients/operator/certs"
)

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	must(t, clientgoscheme.AddToScheme(s))
	certs.AddToScheme(s)
	return s
}

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	c, err := client.New(config, client.Options{Scheme: newScheme(t)})
	must(t, err)
	return c
}

// startControllers runs the controllers of the custom kinds until stop is called.
func startControllers(t *testing.T, namespace string) (stop func()) {
	t.Helper()
	again := true // a process may have two controllers of a name, one after the other
	m, err := ctrl.NewManager(env.Config, ctrl.Options{Scheme: newScheme(t), Metrics: metricsserver.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &again}})
	must(t, err)
	must(t, certs.AddControllers(m, namespace))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestCustomKind has controllers keep objects of custom kinds: with owners, status, finalizers, and their end together with their kind.
func TestCustomKind(t *testing.T) {
	installKinds(t, env.Config)
	namespace, c := plane.Namespace(t), newClient(t, env.Config)
	stop := startControllers(t, namespace)
	key := func(name string) client.ObjectKey { return client.ObjectKey{Namespace: namespace, Name: name} }
	must(t, c.Create(t.Context(), &certs.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "self"}, Spec: certs.IssuerSpec{SelfSigned: &struct{}{}}}))
	ca := newCertificate(t, c, namespace, "ca")
	secret := awaitCertificate(t, c, ca, "ca.example.com")
	if o := metav1.GetControllerOf(secret); o == nil || o.UID != ca.UID || *o.BlockOwnerDeletion != true || len(ca.Finalizers) != 1 {
		t.Errorf("the secret's owner is %+v, the finalizers are %v", o, ca.Finalizers)
	}

	// The generation counts the changes of the spec only; each has a request.
	generation := ca.Generation
	ca.Labels = map[string]string{"a": "b"}
	must(t, c.Update(t.Context(), ca))
	if ca.Generation != generation {
		t.Errorf("a label made generation %d of %d", ca.Generation, generation)
	}
	ca.Spec.DNSNames = []string{"other.example.com"}
	must(t, c.Update(t.Context(), ca))
	awaitCertificate(t, c, ca, "other.example.com")
	request := &certs.CertificateRequest{}
	must(t, c.Get(t.Context(), key(fmt.Sprintf("ca-%d", generation+1)), request))
	if ca.Generation != generation+1 || metav1.GetControllerOf(request).UID != ca.UID {
		t.Errorf("generation %d, owners %v", ca.Generation, request.OwnerReferences)
	}

	// A ClusterIssuer's authority is in the controllers' namespace.
	wide := &certs.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "wide"}, Spec: certs.IssuerSpec{CA: &certs.IssuerCA{SecretName: "ca"}}}
	must(t, c.Create(t.Context(), wide))
	web := newCertificate(t, c, namespace, "web")
	awaitCertificate(t, c, web, "web.example.com")
	must(t, c.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}}))
	cluster.Until(t, func(ctx context.Context) string {
		if err := c.Get(ctx, key("web"), &corev1.Secret{}); err != nil {
			return err.Error() // it comes back
		}
		return ""
	})

	// The finalizer keeps a Certificate until it is out of the inventory; what it owns goes after it.
	must(t, c.Delete(t.Context(), web))
	cluster.Until(t, func(ctx context.Context) string {
		for o, name := range map[client.Object]string{&certs.Certificate{}: "web", &corev1.Secret{}: "web", &certs.CertificateRequest{}: "web-1"} {
			if err := c.Get(ctx, key(name), o); !apierrors.IsNotFound(err) {
				return fmt.Sprintf("%T %s is there: %v", o, name, err)
			}
		}
		return ""
	})
	inventory := &corev1.ConfigMap{}
	must(t, c.Get(t.Context(), key(certs.Inventory), inventory))
	if inventory.Data["ca"] != ca.Status.Serial || inventory.Data["web"] != "" {
		t.Errorf("the inventory has %v", inventory.Data)
	}

	// The kind's end waits for its objects, and those for the controllers.
	stop()
	kind := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}}
	kind.SetName("certificates.certs.example.com")
	must(t, c.Delete(t.Context(), kind))
	cluster.Until(t, func(ctx context.Context) string {
		must(t, c.Get(ctx, key("ca"), ca))
		if ca.DeletionTimestamp == nil {
			return "the certificate is not being deleted"
		}
		return ""
	})
	if err := c.Create(t.Context(), &certs.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "late"}, Spec: ca.Spec}); !apierrors.IsMethodNotSupported(err) {
		t.Errorf("creating an object of a kind that is being deleted: %v", err)
	}
	stop = startControllers(t, namespace)
	cluster.Until(t, func(ctx context.Context) string {
		if err := c.Get(ctx, client.ObjectKeyFromObject(kind), kind); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("the kind is there: %v", err)
		}
		return ""
	})
	stop()
	must(t, c.Delete(t.Context(), wide))
}
