// Package authenticate finds the user of a request: by client certificate, service account token or bootstrap token, or the anonymous user where
// that may do what is asked; then the user that is impersonated.
//
// Credentials that are not valid are refused with 401, never ignored. A token is valid while everything that it is bound to exists
// under the uid that it names. A certificate is verified once for its connection, and again after a minute.
//
// The package also makes tokens (TokenRequest), reviews them (TokenReview, SelfSubjectReview) and publishes the keys that verify
// them (OpenID).
package authenticate
