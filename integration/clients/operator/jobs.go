package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"gantry/integration/clients/operator/certs"
)

// check creates Certificates as a dry run until one passes all webhooks.
func check(ctx context.Context, o options) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		cert := &certs.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, GenerateName: "check-"}}
		cert.Spec = certs.CertificateSpec{SecretName: "check", DNSNames: []string{"check.example.com"}, IssuerRef: certs.IssuerRef{Name: "check"}}
		if err = c.Create(ctx, cert, client.DryRunAll); err == nil {
			slog.Info("the API is ready")
			return nil
		}
		slog.Info("the API is not ready", "err", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// createCertificate creates the Secret of a serving certificate with its authority, if it is not there.
func createCertificate(ctx context.Context, o options) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	ca, err := certs.NewPair(certs.Pair{}, "ca")
	if err != nil {
		return err
	}
	serving, err := certs.NewPair(ca, strings.Split(o.host, ",")...)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: o.secret}, Data: map[string][]byte{
		"ca": ca.Certificate, "cert": serving.Certificate, "key": serving.Key,
	}}
	err = c.Create(ctx, secret)
	slog.Info("created the secret", "name", o.secret, "err", err)
	return client.IgnoreAlreadyExists(err)
}

// patchWebhook writes the Secret's authority into the webhook configuration.
func patchWebhook(ctx context.Context, o options) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: o.secret}, secret); err != nil {
		return err
	}
	for kind, path := range injected {
		if kind.Kind != "ValidatingWebhookConfiguration" {
			continue
		}
		hooks := &unstructured.Unstructured{}
		hooks.SetGroupVersionKind(kind)
		if err := c.Get(ctx, client.ObjectKey{Name: o.webhook}, hooks); err != nil {
			return err
		}
		if err := setBundle(hooks, path, secret.Data["ca"]); err != nil {
			return err
		}
		if err := c.Update(ctx, hooks); err != nil {
			return err
		}
	}
	return nil
}
