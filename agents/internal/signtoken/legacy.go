package signtoken

import (
	"github.com/golang-jwt/jwt/v5"
	corev1 "k8s.io/api/core/v1"
)

// LegacyIssuer is the issuer of the tokens in Secrets.
const LegacyIssuer = "kubernetes/serviceaccount"

// LegacyClaims are those of a token in a Secret, as Kubernetes writes them. It does not expire and has no audience: it is valid for the
// API while its account exists and its Secret contains it.
type LegacyClaims struct {
	jwt.RegisteredClaims
	Namespace      string `json:"kubernetes.io/serviceaccount/namespace"`
	Secret         string `json:"kubernetes.io/serviceaccount/secret.name"`
	ServiceAccount string `json:"kubernetes.io/serviceaccount/service-account.name"`
	UID            string `json:"kubernetes.io/serviceaccount/service-account.uid"`
}

// Legacy returns the claims of the token of an account in a Secret.
func Legacy(account *corev1.ServiceAccount, secret *corev1.Secret) LegacyClaims {
	return LegacyClaims{
		RegisteredClaims: jwt.RegisteredClaims{Issuer: LegacyIssuer, Subject: "system:serviceaccount:" + account.Namespace + ":" + account.Name},
		Namespace:        account.Namespace, Secret: secret.Name, ServiceAccount: account.Name, UID: string(account.UID),
	}
}
