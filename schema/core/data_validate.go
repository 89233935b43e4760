package core

import (
	"crypto/tls"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

const frozen = "field is immutable when `immutable` is set"

// checkKeys checks the keys of a ConfigMap's or Secret's data and returns the size of the values in bytes.
func checkKeys[V ~string | ~[]byte](f *check.Errors, data map[string]V, p *field.Path) (size int) {
	for _, key := range sortedKeys(data) {
		f.Each(p.Key(key), key, validation.IsConfigMapKey(key))
		size += len(data[key])
	}
	return size
}

func validateConfigMap(cm *corev1.ConfigMap) field.ErrorList {
	var f check.Errors
	data := field.NewPath("data")
	size := checkKeys(&f, cm.Data, data) + checkKeys(&f, cm.BinaryData, field.NewPath("binaryData"))
	for _, key := range sortedKeys(cm.Data) {
		if _, twice := cm.BinaryData[key]; twice {
			f.Invalid(data.Key(key), key, "duplicate of key present in binaryData")
		}
	}
	if size > corev1.MaxSecretSize {
		f.Add(field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	return f.List
}

func validateConfigMapUpdate(cm, old *corev1.ConfigMap) field.ErrorList {
	f := checkFrozen(cm.Immutable, old.Immutable, []part{{"data", cm.Data, old.Data}, {"binaryData", cm.BinaryData, old.BinaryData}})
	return append(f.List, validateConfigMap(cm)...)
}

type part struct {
	name    string
	is, was any
}

// checkFrozen checks that an immutable object stays immutable, and its data unchanged.
func checkFrozen(is, was *bool, parts []part) (f check.Errors) {
	if was == nil || !*was {
		return f
	}
	if is == nil || !*is {
		f.Forbidden(field.NewPath("immutable"), frozen)
	}
	for _, p := range parts {
		if !equality.Semantic.DeepEqual(p.is, p.was) {
			f.Forbidden(field.NewPath(p.name), frozen)
		}
	}
	return f
}

func validateSecret(s *corev1.Secret) field.ErrorList {
	var f check.Errors
	data := field.NewPath("data")
	if checkKeys(&f, s.Data, data) > corev1.MaxSecretSize {
		f.Add(field.TooLong(data, "", corev1.MaxSecretSize))
	}
	needs := func(keys ...string) {
		for _, key := range keys {
			if _, ok := s.Data[key]; !ok {
				f.Required(data.Key(key), "")
			}
		}
	}
	switch s.Type {
	case corev1.SecretTypeServiceAccountToken:
		f.Set(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), s.Annotations[corev1.ServiceAccountNameKey])
	case corev1.SecretTypeDockercfg:
		checkJSON(&f, s, corev1.DockerConfigKey, data)
	case corev1.SecretTypeDockerConfigJson:
		checkJSON(&f, s, corev1.DockerConfigJsonKey, data)
	case corev1.SecretTypeBasicAuth: // either will do
		_, user := s.Data[corev1.BasicAuthUsernameKey]
		_, password := s.Data[corev1.BasicAuthPasswordKey]
		if !user && !password {
			needs(corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
		}
	case corev1.SecretTypeSSHAuth:
		f.Set(data.Key(corev1.SSHAuthPrivateKey), string(s.Data[corev1.SSHAuthPrivateKey]))
	case corev1.SecretTypeTLS:
		needs(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return f.List
}

// checkJSON requires a JSON object below key; its error does not repeat the secret.
func checkJSON(f *check.Errors, s *corev1.Secret, key string, data *field.Path) {
	value, ok := s.Data[key]
	if !ok {
		f.Required(data.Key(key), "")
	} else if err := json.Unmarshal(value, &map[string]any{}); err != nil {
		f.Invalid(data.Key(key), "<secret contents redacted>", err.Error())
	}
}

func validateSecretUpdate(s, old *corev1.Secret) field.ErrorList {
	f := checkFrozen(s.Immutable, old.Immutable, []part{{"data", s.Data, old.Data}})
	f.Same(field.NewPath("type"), s.Type, old.Type)
	return append(f.List, validateSecret(s)...)
}

func secretWarnings(s, _ *corev1.Secret) []string {
	if s.Type != corev1.SecretTypeTLS {
		return nil
	}
	if _, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// validateServiceAccount returns none: Kubernetes validates only the metadata of service accounts.
func validateServiceAccount(*corev1.ServiceAccount) field.ErrorList { return nil }

func validateServiceAccountUpdate(_, _ *corev1.ServiceAccount) field.ErrorList { return nil }

func serviceAccountWarnings(sa, old *corev1.ServiceAccount) []string {
	const annotation = "kubernetes.io/enforce-mountable-secrets"
	if old != nil {
		if _, had := old.Annotations[annotation]; had {
			return nil
		}
	}
	if _, has := sa.Annotations[annotation]; !has {
		return nil
	}
	return []string{"metadata.annotations[" + annotation + "]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"}
}
