// Package discovery describes the API to clients: its groups, versions, resources and verbs, plain and aggregated, its OpenAPI
// documents and its version. It reads no object; the OpenAPI documents are made when first asked for and kept.
package discovery
