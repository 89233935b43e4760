package admit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"gantry/schema"
	"gantry/schema/pods"
)

const (
	tokenVolume  = "kube-api-access-"
	tokenPath    = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenSeconds = 3607 // an hour and 7 seconds, as Kubernetes has it: told apart from an expiration that a user sets
	rootCA       = "kube-root-ca.crt"
	// enforceSecrets on an account restricts its pods to the secrets that it lists.
	enforceSecrets = "kubernetes.io/enforce-mountable-secrets"
)

// How often and how long the default service account of a new namespace is waited for.
const (
	defaultAccountTries = 10
	defaultAccountPause = 100 * time.Millisecond
)

// wantsAccount: new pods, and ephemeral containers, which may name secrets.
func wantsAccount(o Operation, k *schema.Kind, subresource string) bool {
	return k.Plural == "pods" && k.Group == "" && (subresource == "" && o == Create || subresource == ephemeralContainers && o == Update)
}

const ephemeralContainers = "ephemeralcontainers"

// giveAccount makes a new pod run as "default" where it names no account, and gives it the account's pull secrets and a volume with a
// token. The spec of a mirror pod stays as its kubelet has written it.
func giveAccount(ctx context.Context, read Reader, q *Request) error {
	pod := q.Object.(*corev1.Pod)
	if q.Subresource != "" || pods.IsMirror(pod.Annotations) || !read.Serves("", "serviceaccounts") {
		return nil
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	account, err := findAccount(ctx, read, q.Namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	if automounts(account, pod) {
		mountToken(&pod.Spec)
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = append([]corev1.LocalObjectReference(nil), account.ImagePullSecrets...)
	}
	return nil
}

// checkAccount refuses a pod whose account does not exist, or does not list the secrets that the pod uses where it has to, and a mirror
// pod with secrets. Of a pod that ephemeral containers are added to only these are checked.
func checkAccount(ctx context.Context, read Reader, q *Request) error {
	pod := q.Object.(*corev1.Pod)
	if !read.Serves("", "serviceaccounts") {
		return nil
	}
	if pods.IsMirror(pod.Annotations) && q.Subresource == "" {
		return checkMirror(pod)
	}
	if pod.Spec.ServiceAccountName == "" {
		return denied("no service account specified for pod %s/%s", q.Namespace, q.Name)
	}
	account, err := findAccount(ctx, read, q.Namespace, pod.Spec.ServiceAccountName)
	if err != nil {
		return err
	}
	if account.Annotations[enforceSecrets] == "true" {
		if q.Subresource == ephemeralContainers {
			pod = &corev1.Pod{Spec: corev1.PodSpec{EphemeralContainers: pod.Spec.EphemeralContainers}}
		}
		return limitSecrets(account, pod)
	}
	return nil
}

// findAccount waits a second for the default account, which a controller makes right after its namespace.
func findAccount(ctx context.Context, read Reader, namespace, name string) (*corev1.ServiceAccount, error) {
	tries := 1
	if name == "default" {
		tries = defaultAccountTries
	}
	for i := range tries {
		if i > 0 {
			select {
			case <-time.After(defaultAccountPause):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		found, err := read.Find(ctx, "", "serviceaccounts", namespace, name)
		if err != nil {
			return nil, fmt.Errorf("looking up service account %s/%s: %w", namespace, name, err)
		}
		if account, ok := found.Object.(*corev1.ServiceAccount); ok {
			return account, nil
		}
	}
	return nil, denied("error looking up service account %s/%s: serviceaccount %q not found", namespace, name, name)
}

// checkMirror refuses a mirror pod that uses an account or secrets.
func checkMirror(pod *corev1.Pod) error {
	if pod.Spec.ServiceAccountName != "" {
		return denied("a mirror pod may not reference service accounts")
	}
	secrets := len(pod.Spec.ImagePullSecrets) > 0
	for _, c := range pods.Containers(&pod.Spec) {
		secrets = secrets || len(environmentSecrets(c)) > 0
	}
	for _, v := range pod.Spec.Volumes {
		if v.Secret != nil {
			secrets = true
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			secrets = secrets || s.Secret != nil
			if s.ServiceAccountToken != nil {
				return denied("a mirror pod may not use ServiceAccountToken volume projections")
			}
		}
	}
	if secrets {
		return denied("a mirror pod may not reference secrets")
	}
	return nil
}

// automounts tells whether a pod gets a token: the pod's setting counts before the account's; without either it does.
func automounts(account *corev1.ServiceAccount, pod *corev1.Pod) bool {
	if v := pod.Spec.AutomountServiceAccountToken; v != nil {
		return *v
	}
	if v := account.AutomountServiceAccountToken; v != nil {
		return *v
	}
	return true
}

// mountToken mounts a token volume in every container that has nothing mounted at its path.
func mountToken(spec *corev1.PodSpec) {
	name, there := "", false
	names := map[string]bool{}
	for _, v := range spec.Volumes {
		names[v.Name] = true
		if strings.HasPrefix(v.Name, tokenVolume) {
			name, there = v.Name, true
		}
	}
	for name == "" || !there && names[name] {
		name = tokenVolume + rand.String(5)
	}
	mounted := false
	for _, c := range pods.Containers(spec) {
		if slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == tokenPath }) {
			continue
		}
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenPath})
		mounted = true
	}
	if mounted && !there {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: tokenSource()})
	}
}

func tokenSource() corev1.VolumeSource {
	mode, seconds := corev1.ProjectedVolumeSourceDefaultMode, int64(tokenSeconds)
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: rootCA},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path:     "namespace",
				FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}}
}
