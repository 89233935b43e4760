package extensionclient

import (
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// The headers in which a front proxy names the user of a request, as extension servers are told by the ConfigMap
// kube-system/extension-apiserver-authentication.
const (
	UserHeader  = "X-Remote-User"
	UIDHeader   = "X-Remote-Uid"
	GroupHeader = "X-Remote-Group"
	ExtraPrefix = "X-Remote-Extra-"
)

// aggregator is the user of the aggregator's own requests; its group may read everything.
var aggregator = authenticationv1.UserInfo{Username: "system:kube-aggregator", Groups: []string{"system:masters"}}

// SetUser replaces who headers say that a request is of.
func SetUser(h http.Header, user *authenticationv1.UserInfo) {
	for name := range h {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "X-Remote-") {
			delete(h, name)
		}
	}
	h.Set(UserHeader, user.Username)
	if user.UID != "" {
		h.Set(UIDHeader, user.UID)
	}
	for _, group := range user.Groups {
		h.Add(GroupHeader, group)
	}
	for key, values := range user.Extra {
		for _, value := range values {
			h.Add(ExtraPrefix+escaped(key), value)
		}
	}
}

// escaped is a key of an extra as a part of a header's name: what may not stand there, and the percent sign, is percent-encoded. Names of headers
// have no case, so the key is the lower-case one that it is read as.
func escaped(key string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if c == '%' || c > '~' || c <= ' ' || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
