// Package decode reads the bodies of requests as objects: JSON, YAML and protobuf.
//
// A body has been received whole before it is decoded: the request's Body has a method Bytes() []byte. Time and memory stay in
// proportion to its size: YAML is bounded while it becomes JSON, and a body may consist of schema.MaxObjects objects at most.
// Unknown and duplicate fields are warnings, an error or nothing, as fieldValidation asks. Errors are worded as Kubernetes does.
package decode
