package registry

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"

	"gantry/schema"
)

// csrHooks: a request for a certificate says who made it.
var csrHooks = hooks{
	setCreator: func(obj schema.Object, user *authenticationv1.UserInfo) {
		spec := &obj.(*certificatesv1.CertificateSigningRequest).Spec
		spec.Username, spec.UID, spec.Groups = user.Username, user.UID, append([]string(nil), user.Groups...)
		for key, values := range user.Extra {
			if spec.Extra == nil {
				spec.Extra = map[string]certificatesv1.ExtraValue{}
			}
			spec.Extra[key] = append(certificatesv1.ExtraValue(nil), values...)
		}
	},
}
