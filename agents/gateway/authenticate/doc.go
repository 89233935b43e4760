// Package authenticate says who asks: by client certificate, by service account token, or nobody in particular where that is
// enough; and as whom, by impersonation.
//
// Credentials that do not hold are refused with 401, never ignored. A token holds while everything that it is bound to is there
// under the uid that it names. A certificate is verified once for its connection, and again after a minute.
//
// The package also makes tokens (TokenRequest), reviews them (TokenReview, SelfSubjectReview) and publishes the keys that verify
// them (OpenID).
package authenticate
