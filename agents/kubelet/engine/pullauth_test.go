package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestImageAuths(t *testing.T) {
	secret := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{
		"https://index.docker.io/v1/":{"auth":"aHViOnB3"},
		"registry.example.com":{"username":"all","password":"pw"},
		"registry.example.com/team":{"username":"team","password":"pw"},
		"other.example.com":{"username":"no","password":"pw"}}}`)}}
	rubbish := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`[`)}}
	for ref, want := range map[string][]string{
		"nginx:1":                         {"hub"},
		"registry.example.com/team/app:1": {"team", "all"},
		"registry.example.com/teams/x:1":  {"all"},
		"quay.io/x:1":                     nil,
	} {
		var got []string
		for _, a := range imageAuths(ref, []*corev1.Secret{secret, rubbish}) {
			got = append(got, a.Username)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", ref, d)
		}
	}
}
