// Package gateway is the HTTPS door to the registry: Kubernetes' REST paths, and the etcd keys as paths.
//
// It adds HTTP, identity and permission, and no rules: what an object is and whether a write is right is decided
// below it (schema, registry). It holds no state, so any number may run side by side.
//
// # A request
//
// ServeHTTP (serve.go) is the whole chain, top to bottom: bound it (deadline, in-flight budget), take its path apart
// (request), say who asks (authenticate), whether they may (authorize), find its handler (route.go), receive its body, run the
// handler, and write what it returned. A handler returns its error; encode/status.go is the one table that words errors as
// Kubernetes does.
//
// # Packages
//
//   - request: what a request's head asks for: path, parameters, Accept
//   - userinfo: the names of users and groups that mean something to the API
//   - authenticate: certificates, tokens, impersonation; authorize: the authorizers, node restriction, access reviews
//   - decode: bodies as objects; encode: objects, lists, watch events and errors as answers
//   - discovery: groups, resources, OpenAPI, version; stream: exec, attach, port-forward and logs of a pod
//
// The verbs stand here, one file each: get.go, list.go, watch.go, create.go, update.go, patch.go, delete.go.
//
// # Bytes
//
// A GET, a LIST and a watch event hand out registry.Item.JSON as it is. Only what a client asked to be another shape
// (Table, PartialObjectMetadata, YAML, pretty) is made anew.
//
// # Metrics
//
// apiserver_request_total, apiserver_request_duration_seconds, apiserver_response_sizes,
// apiserver_current_inflight_requests and apiserver_longrunning_requests, with Kubernetes' labels.
package gateway
