// Package userinfo knows the names of users and groups that mean something to the API: nodes, service accounts,
// system:masters, the authenticated and the anonymous. It is pure.
package userinfo
