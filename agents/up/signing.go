package up

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"

	"gantry/agents/controllers/certificates"
	"gantry/agents/internal/pki"
)

// Signing is what certificate signing requests are signed with. The zero value is the cluster's authority, for a year at most.
type Signing struct {
	// Files are the authorities that are given, by the flags' names without -cert-file and -key-file.
	Files map[string]authorityFiles
	// Duration is the longest lifetime of a certificate: --cluster-signing-duration; 0: a year.
	Duration time.Duration
}

// authorityFiles are the files of an authority.
type authorityFiles struct{ cert, key string }

// clusterSigning is the flag of the authority of all signers; signerFlags are those of one signer each, as kube-controller-manager has them.
const clusterSigning = "cluster-signing"

var signerFlags = []struct{ flag, signer string }{
	{"cluster-signing-kubelet-serving", certificatesv1.KubeletServingSignerName},
	{"cluster-signing-kubelet-client", certificatesv1.KubeAPIServerClientKubeletSignerName},
	{"cluster-signing-kube-apiserver-client", certificatesv1.KubeAPIServerClientSignerName},
	{"cluster-signing-legacy-unknown", certificatesv1beta1.LegacyUnknownSignerName},
}

// signingFlags are the flags of Signing.
func signingFlags() []cli.Flag {
	pair := func(flag, of string) []cli.Flag {
		return []cli.Flag{
			text(flag+"-cert-file", "", "certificate `file` of the authority that signs "+of),
			text(flag+"-key-file", "", "key `file` of it"),
		}
	}
	flags := pair(clusterSigning, "certificate signing requests (default: the cluster's, <data-dir>/pki/ca.crt)")
	for _, f := range signerFlags {
		flags = append(flags, pair(f.flag, "those of "+f.signer+" alone; signers without files sign nothing then")...)
	}
	return append(flags, &cli.DurationFlag{
		Name: "cluster-signing-duration", Value: certificates.DefaultLifetime, EnvVars: env("cluster-signing-duration"),
		Usage: "how `long` a signed certificate is valid at most",
	})
}

// signingFrom reads Signing from the command line.
func signingFrom(c *cli.Context) Signing {
	s := Signing{Files: map[string]authorityFiles{}, Duration: c.Duration("cluster-signing-duration")}
	read := func(flag string) {
		if f := (authorityFiles{c.String(flag + "-cert-file"), c.String(flag + "-key-file")}); f != (authorityFiles{}) {
			s.Files[flag] = f
		}
	}
	read(clusterSigning)
	for _, f := range signerFlags {
		read(f.flag)
	}
	return s
}

// validate returns every fault, each with its flag's name.
func (s Signing) validate() (faults []error) {
	for flag, f := range s.Files {
		switch {
		case f.cert == "":
			faults = append(faults, fmt.Errorf("--%s-cert-file: it is needed beside --%s-key-file", flag, flag))
		case f.key == "":
			faults = append(faults, fmt.Errorf("--%s-key-file: it is needed beside --%s-cert-file", flag, flag))
		}
	}
	if _, all := s.Files[clusterSigning]; all && len(s.Files) > 1 {
		faults = append(faults, fmt.Errorf("--%s-cert-file: no flag of a single signer may be given beside it", clusterSigning))
	}
	if s.Duration < 0 {
		faults = append(faults, fmt.Errorf("--cluster-signing-duration: %s is negative", s.Duration))
	}
	return faults
}

// authorities opens the files; cluster is the authority where none are given.
func (s Signing) authorities(cluster certificates.Authority) (certificates.Authorities, error) {
	out := certificates.Authorities{All: cluster, Longest: s.Duration}
	if len(s.Files) == 0 {
		return out, nil
	}
	open := func(flag string) (certificates.Authority, error) {
		a, err := pki.OpenAuthorityFiles(s.Files[flag].cert, s.Files[flag].key)
		if err != nil {
			return nil, fmt.Errorf("--%s-cert-file, --%s-key-file: %w", flag, flag, err)
		}
		return a, nil
	}
	var err error
	if _, all := s.Files[clusterSigning]; all {
		out.All, err = open(clusterSigning)
		return out, err
	}
	out.All, out.Of = nil, map[string]certificates.Authority{}
	for _, f := range signerFlags {
		if _, given := s.Files[f.flag]; !given {
			continue
		}
		if out.Of[f.signer], err = open(f.flag); err != nil {
			return out, err
		}
	}
	return out, nil
}
