// Package gateway serves the registry over HTTPS: by Kubernetes' REST paths, and by etcd keys as paths below /registry/.
//
// It adds HTTP, identity and permission, and no rules: what an object is and whether a write is right is decided
// below it (schema, registry). It holds no state, so any number may run side by side.
//
// # A request
//
// ServeHTTP (serve.go) is the whole chain, top to bottom: set its deadline, read its head
// (request), find its user (authenticate), ask whether that may do it (authorize), find the handler (route.go), receive the body,
// run the handler. A handler returns its error; encode/status.go is the one table that words errors as
// Kubernetes does.
//
// # Packages
//
//   - request: what a request's head asks for: path, parameters, Accept
//   - userinfo: the names of users and groups that mean something to the API
//   - authenticate: certificates, tokens, impersonation; authorize: the authorizers, node restriction, access reviews
//   - authorize/rbac: roles and bindings, what they grant, and who may write them
//   - decode: bodies as objects; encode: objects, lists, watch events and errors as answers
//   - discovery: groups, resources, OpenAPI, version; stream: exec, attach, port-forward and logs of a pod
//   - receive: the bodies of requests; inflight: how many requests are served at once; eventstream: the events of a watch
//   - advertise: the identity lease of a gateway; gatewaytest: a gateway for tests
//
// The verbs stand here, one file each: get.go, list.go, watch.go, create.go, update.go, patch.go, delete.go.
//
// # Bytes
//
// A GET, a LIST and a watch event write registry.Item.JSON as it is. Only what a client asked to be another shape
// (Table, PartialObjectMetadata, YAML, pretty) is made anew.
//
// # Metrics
//
// apiserver_request_total, apiserver_request_duration_seconds, apiserver_response_sizes,
// apiserver_current_inflight_requests and apiserver_longrunning_requests, with Kubernetes' labels.
package gateway
