package bootstraptoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

const (
	// ClusterInfo is the ConfigMap in kube-public that a machine reads before it trusts the cluster, and KubeconfigKey the key in it of a
	// kubeconfig with a cluster's address and CA.
	ClusterInfo   = "cluster-info"
	KubeconfigKey = "kubeconfig"
)

// Sign returns the detached signature of a content with the token's secret part: a JSON web signature without its payload (RFC 7515, appendix F)
// by HMAC SHA-256, as "header..signature".
func (t Token) Sign(content string) string {
	encode := base64.RawURLEncoding.EncodeToString
	header := encode(fmt.Appendf(nil, `{"alg":"HS256","kid":"%s"}`, t.ID))
	mac := hmac.New(sha256.New, []byte(t.Secret))
	mac.Write([]byte(header + "." + encode([]byte(content))))
	return header + ".." + encode(mac.Sum(nil))
}
