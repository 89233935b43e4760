package admit

import (
	corev1 "k8s.io/api/core/v1"

	"gantry/schema/pods"
)

// secretRef is a secret in a container's environment; variable is the variable's name, "" for envFrom.
type secretRef struct{ variable, secret string }

// environmentSecrets are the secrets that a container's env and envFrom name.
func environmentSecrets(c *corev1.Container) (refs []secretRef) {
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			refs = append(refs, secretRef{e.Name, e.ValueFrom.SecretKeyRef.Name})
		}
	}
	for _, e := range c.EnvFrom {
		if e.SecretRef != nil {
			refs = append(refs, secretRef{"", e.SecretRef.Name})
		}
	}
	return refs
}

// limitSecrets refuses a pod that uses secrets which its account does not list.
func limitSecrets(account *corev1.ServiceAccount, pod *corev1.Pod) error {
	mountable := map[string]bool{}
	for _, s := range account.Secrets {
		mountable[s.Name] = true
	}
	const tail = "is not allowed because service account %s does not reference that secret"
	for _, v := range pod.Spec.Volumes {
		for _, name := range volumeSecrets(v) {
			if !mountable[name] {
				return denied("volume with secret.secretName=%q "+tail, name, account.Name)
			}
		}
	}
	for kind, c := range pods.Containers(&pod.Spec) {
		for _, ref := range environmentSecrets(c) {
			switch {
			case mountable[ref.secret]:
			case ref.variable == "":
				return denied("%s %s with envFrom referencing secret.secretName=%q "+tail, kind, c.Name, ref.secret, account.Name)
			default:
				return denied("%s %s with envVar %s referencing secret.secretName=%q "+tail, kind, c.Name, ref.variable, ref.secret, account.Name)
			}
		}
	}
	pullable := map[string]bool{}
	for _, s := range account.ImagePullSecrets {
		pullable[s.Name] = true
	}
	for i, s := range pod.Spec.ImagePullSecrets {
		if !pullable[s.Name] {
			return denied("imagePullSecrets[%d].name=%q is not allowed because service account %s does not reference that imagePullSecret", i, s.Name, account.Name)
		}
	}
	return nil
}

func volumeSecrets(v corev1.Volume) (names []string) {
	if v.Secret != nil {
		names = append(names, v.Secret.SecretName)
	}
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				names = append(names, s.Secret.Name)
			}
		}
	}
	return names
}
