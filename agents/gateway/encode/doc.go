// Package encode writes answers: objects, lists and watch events in the shape that was negotiated, errors as a Status.
//
// An answer is the bytes that the registry's cache holds unless another shape was asked for. Table, PartialObjectMetadata, YAML,
// protobuf and indented JSON are made for each request; what would grow out of proportion stays compact. Answers from 128 KiB are deflated
// for clients that take gzip.
//
// A function that returns an error before it has written anything leaves the answer to its caller; an error while writing means
// that the client has gone.
package encode
