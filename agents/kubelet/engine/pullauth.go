package engine

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/registry"
	corev1 "k8s.io/api/core/v1"
)

// dockerHub is how credentials and references name Docker Hub.
const (
	dockerHub    = "docker.io"
	dockerHubOld = "index.docker.io"
)

// imageAuths are the credentials that pull secrets hold for an image, the closest match first.
//
//	{"auths":{"registry.example.com":{"username":"u","password":"p","auth":"dTpw"}}}
func imageAuths(ref string, secrets []*corev1.Secret) []registry.AuthConfig {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return nil
	}
	var best []registry.AuthConfig
	longest := map[int][]registry.AuthConfig{}
	for _, s := range secrets {
		for place, a := range secretAuths(s) {
			if n, ok := covers(place, named); ok {
				longest[n] = append(longest[n], a)
			}
		}
	}
	for n := len(named.Name()); n >= 0; n-- {
		best = append(best, longest[n]...)
	}
	return best
}

// covers tells whether a credential's place ("https://index.docker.io/v1/", "registry.example.com/team") is the image's
// registry or a folder of it, and how long the match is.
func covers(place string, named reference.Named) (length int, ok bool) {
	_, rest, found := strings.Cut(place, "://")
	if !found {
		rest = place
	}
	rest = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(rest, "/"), "/v1"), "/v2"), "/")
	host, path, _ := strings.Cut(rest, "/")
	if host == dockerHubOld {
		host = dockerHub
	}
	if host != reference.Domain(named) {
		return 0, false
	}
	image := reference.Path(named)
	if path == "" || image == path || strings.HasPrefix(image, path+"/") {
		return len(path), true
	}
	return 0, false
}

func secretAuths(s *corev1.Secret) map[string]registry.AuthConfig {
	type entry struct {
		Username, Password, Auth, IdentityToken, RegistryToken string
	}
	entries := map[string]entry{}
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		var file struct {
			Auths map[string]entry `json:"auths"`
		}
		if json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &file) == nil {
			entries = file.Auths
		}
	case corev1.SecretTypeDockercfg:
		_ = json.Unmarshal(s.Data[corev1.DockerConfigKey], &entries) // rubbish is no credential
	}
	out := map[string]registry.AuthConfig{}
	for place, e := range entries {
		if e.Username == "" && e.Auth != "" {
			if text, err := base64.StdEncoding.DecodeString(e.Auth); err == nil {
				e.Username, e.Password, _ = strings.Cut(string(text), ":")
			}
		}
		out[place] = registry.AuthConfig{
			Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken, ServerAddress: place,
		}
	}
	return out
}
