package up

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"gantry/agents/internal/pki"
)

func TestSigningAuthorities(t *testing.T) {
	dir := t.TempDir()
	cluster, err := pki.OpenAuthority(filepath.Join(dir, "cluster"), "cluster", true)
	if err != nil {
		t.Fatal(err)
	}
	own, err := pki.OpenAuthority(filepath.Join(dir, "own"), "own", true)
	if err != nil {
		t.Fatal(err)
	}
	files := authorityFiles{own.CertFile(), own.KeyFile()}
	const client, serving = certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeletServingSignerName
	for _, tt := range []struct {
		name            string
		files           map[string]authorityFiles
		client, serving string // the key of who signs; "": nobody
		fault           string
	}{
		{"none is given", nil, cluster.KeyFile(), cluster.KeyFile(), ""},
		{"of all signers", map[string]authorityFiles{"cluster-signing": files}, own.KeyFile(), own.KeyFile(), ""},
		{"of one signer", map[string]authorityFiles{"cluster-signing-kubelet-serving": files}, "", own.KeyFile(), ""},
		{"without key", map[string]authorityFiles{"cluster-signing": {own.CertFile(), ""}}, "", "", "--cluster-signing-key-file: it is needed"},
		{"of all and of one", map[string]authorityFiles{"cluster-signing": files, "cluster-signing-kubelet-serving": files}, "", "", "no flag of a single signer"},
		{"no such file", map[string]authorityFiles{"cluster-signing": {"/nowhere", "/nowhere"}}, "", "", "--cluster-signing-cert-file, --cluster-signing-key-file: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Signing{Files: tt.files, Duration: time.Hour}
			err := errors.Join(s.validate()...)
			a, openErr := s.authorities(cluster)
			if err = errors.Join(err, openErr); tt.fault != "" || err != nil {
				if err == nil || !strings.Contains(err.Error(), tt.fault) || tt.fault == "" {
					t.Errorf("%v, want %q", err, tt.fault)
				}
				return
			}
			for signer, want := range map[string]string{client: tt.client, serving: tt.serving} {
				got := ""
				if by := a.For(signer); by != nil {
					got = by.KeyFile()
				}
				if got != want {
					t.Errorf("%s is signed with %q, want %q", signer, got, want)
				}
			}
		})
	}
}
