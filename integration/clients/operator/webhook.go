package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"gantry/integration/clients/operator/certs"
)

// runWebhook serves with a certificate that the authority in the Secret signs. All replicas share the authority.
func runWebhook(ctx context.Context, o options) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	ca, err := keepAuthority(ctx, c, o)
	if err != nil {
		return err
	}
	serving, err := certs.NewPair(ca, strings.Split(o.host, ",")...)
	if err != nil {
		return err
	}
	server, err := newServer(serving)
	if err != nil {
		return err
	}
	server.Register("/mutate", &webhook.Admission{Handler: admission.HandlerFunc(setDefaults)})
	server.Register("/validate", &webhook.Admission{Handler: admission.HandlerFunc(validate)})
	server.Register("/convert", http.HandlerFunc(convert))
	m, err := newManager(o, "", server)
	if err != nil {
		return err
	}
	return m.Start(ctx)
}

func newServer(serving certs.Pair) (webhook.Server, error) {
	pair, err := tls.X509KeyPair(serving.Certificate, serving.Key)
	if err != nil {
		return nil, err
	}
	return webhook.NewServer(webhook.Options{Port: 10250, TLSOpts: []func(*tls.Config){func(c *tls.Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
	}}}), nil
}

// keepAuthority reads the authority's Secret, and creates it where it is missing.
func keepAuthority(ctx context.Context, c client.Client, o options) (certs.Pair, error) {
	for {
		secret := &corev1.Secret{}
		err := c.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: o.secret}, secret)
		if err == nil {
			return certs.Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}, nil
		}
		if !apierrors.IsNotFound(err) {
			return certs.Pair{}, err
		}
		ca, err := certs.NewPair(certs.Pair{}, "webhook-ca")
		if err != nil {
			return certs.Pair{}, err
		}
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: o.secret}, Data: map[string][]byte{
			corev1.TLSCertKey: ca.Certificate, corev1.TLSPrivateKeyKey: ca.Key, corev1.ServiceAccountRootCAKey: ca.Certificate,
		}}
		if err := c.Create(ctx, secret); client.IgnoreAlreadyExists(err) != nil {
			return certs.Pair{}, err
		}
	}
}

func setDefaults(_ context.Context, r admission.Request) admission.Response {
	var object map[string]any
	if err := json.Unmarshal(r.Object.Raw, &object); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	kind, _, _ := unstructured.NestedString(object, "spec", "issuerRef", "kind")
	life, _, _ := unstructured.NestedString(object, "spec", "duration")
	for field, value := range map[string]string{"kind": kind, "duration": life} {
		switch {
		case value != "":
		case field == "kind":
			_ = unstructured.SetNestedField(object, "Issuer", "spec", "issuerRef", "kind") // the schema has made sure of the objects above
		default:
			_ = unstructured.SetNestedField(object, (24 * time.Hour).String(), "spec", "duration")
		}
	}
	changed, err := json.Marshal(object)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(r.Object.Raw, changed)
}

func validate(_ context.Context, r admission.Request) admission.Response {
	var object, old certs.Certificate
	if err := json.Unmarshal(r.Object.Raw, &object); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if r.OldObject.Raw != nil {
		if err := json.Unmarshal(r.OldObject.Raw, &old); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	switch {
	case r.Kind.Kind == "CertificateRequest" && old.UID != "" && !slices.Equal(spec(r.Object.Raw), spec(r.OldObject.Raw)):
		return admission.Denied("spec: cannot change spec after creation")
	case r.Kind.Kind != "Certificate":
	case len(object.Spec.DNSNames) == 0:
		return admission.Denied("spec.dnsNames: Invalid value: at least one must be set")
	case slices.ContainsFunc(object.Spec.DNSNames, func(name string) bool { return strings.HasSuffix(name, ".local") }):
		return admission.Allowed("").WithWarnings("spec.dnsNames: .local is for multicast names")
	}
	return admission.Allowed("")
}

func spec(object []byte) []byte {
	var o struct{ Spec json.RawMessage }
	_ = json.Unmarshal(object, &o) // it has been parsed before
	return o.Spec
}

// convert serves Certificates as v1alpha1, which has hosts for dnsNames.
func convert(w http.ResponseWriter, req *http.Request) {
	var review struct {
		metav1.TypeMeta `json:",inline"`
		Request         *struct {
			UID               string           `json:"uid"`
			DesiredAPIVersion string           `json:"desiredAPIVersion"`
			Objects           []map[string]any `json:"objects"`
		} `json:"request,omitempty"`
		Response struct {
			UID              string           `json:"uid"`
			ConvertedObjects []map[string]any `json:"convertedObjects"`
			Result           metav1.Status    `json:"result"`
		} `json:"response"`
	}
	if err := json.NewDecoder(req.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	review.Response.UID, review.Response.Result.Status = review.Request.UID, metav1.StatusSuccess
	for _, o := range review.Request.Objects {
		from, to := "hosts", "dnsNames"
		if strings.HasSuffix(review.Request.DesiredAPIVersion, "v1alpha1") {
			from, to = to, from
		}
		if names, ok, _ := unstructured.NestedFieldNoCopy(o, "spec", from); ok {
			unstructured.RemoveNestedField(o, "spec", from)
			_ = unstructured.SetNestedField(o, names, "spec", to)
		}
		o["apiVersion"] = review.Request.DesiredAPIVersion
		review.Response.ConvertedObjects = append(review.Response.ConvertedObjects, o)
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the caller sees a broken body
}
