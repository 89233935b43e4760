package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"gantry/integration/clients/operator/certs"
)

// certificateDir has the files of the Secret that createCertificate makes.
const certificateDir = "/usr/local/certificates"

func runIngress(ctx context.Context, o options) error {
	var serving certs.Pair
	var err error
	if serving.Certificate, err = os.ReadFile(filepath.Join(certificateDir, "cert")); err != nil {
		return err
	}
	if serving.Key, err = os.ReadFile(filepath.Join(certificateDir, "key")); err != nil {
		return err
	}
	server, err := newServer(serving)
	if err != nil {
		return err
	}
	server.Register("/ingresses", &webhook.Admission{Handler: admission.HandlerFunc(validateIngress)})
	m, err := newManager(o, "ingress-leader", server)
	if err != nil {
		return err
	}
	i := &ingresses{m.GetClient(), o}
	if err := m.Add(i); err != nil {
		return err
	}
	if err := ctrl.NewControllerManagedBy(m).For(&networkingv1.Ingress{}).Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(i.all)).Complete(i); err != nil {
		return err
	}
	return m.Start(ctx)
}

func validateIngress(_ context.Context, r admission.Request) admission.Response {
	if strings.Contains(string(r.Object.Raw), "snippet") {
		return admission.Denied("snippet annotations are not allowed")
	}
	return admission.Allowed("")
}

// ingresses keeps the status of the Ingresses of its class, as the leader; every replica serves them.
type ingresses struct {
	client.Client
	options
}

var _ manager.LeaderElectionRunnable = (*ingresses)(nil)

// NeedLeaderElection is manager.LeaderElectionRunnable's.
func (i *ingresses) NeedLeaderElection() bool { return false }

// Start serves until ctx is done.
func (i *ingresses) Start(ctx context.Context) error {
	s := &http.Server{Addr: ":8080", Handler: i}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// ServeHTTP passes a request on to the service of its host.
func (i *ingresses) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var list networkingv1.IngressList
	if err := i.List(req.Context(), &list); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	for _, ingress := range list.Items {
		for _, rule := range ingress.Spec.Rules {
			if rule.Host != req.Host || rule.HTTP == nil || !i.served(&ingress) {
				continue
			}
			service := rule.HTTP.Paths[0].Backend.Service
			host := net.JoinHostPort(service.Name+"."+ingress.Namespace+".svc.cluster.local", strconv.Itoa(int(service.Port.Number)))
			httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host}).ServeHTTP(w, req)
			return
		}
	}
	http.Error(w, "default backend - 404", http.StatusNotFound)
}

func (i *ingresses) served(ingress *networkingv1.Ingress) bool {
	return ingress.Spec.IngressClassName != nil && *ingress.Spec.IngressClassName == i.class
}

// Reconcile is reconcile.Reconciler's.
func (i *ingresses) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ingress, service := &networkingv1.Ingress{}, &corev1.Service{}
	if err := i.Get(ctx, req.NamespacedName, ingress); err != nil || !i.served(ingress) {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if err := i.Get(ctx, client.ObjectKey{Namespace: i.namespace, Name: i.service}, service); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := ingress.DeepCopy()
	ingress.Status.LoadBalancer.Ingress = nil
	for _, address := range service.Status.LoadBalancer.Ingress {
		ingress.Status.LoadBalancer.Ingress = append(ingress.Status.LoadBalancer.Ingress, networkingv1.IngressLoadBalancerIngress{IP: address.IP, Hostname: address.Hostname})
	}
	return ctrl.Result{}, i.Status().Patch(ctx, ingress, client.MergeFrom(before))
}

func (i *ingresses) all(ctx context.Context, service client.Object) (found []reconcile.Request) {
	var list networkingv1.IngressList
	if service.GetName() != i.service || i.List(ctx, &list) != nil {
		return nil
	}
	for _, ingress := range list.Items {
		found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&ingress)})
	}
	return found
}
