// Package store is etcd as the registry sees it: keys with bytes and revisions, transactions with compares, watches and leases. It
// knows no kinds, objects or caches.
//
// There are two implementations of one contract, Store: Etcd on a real etcd (of this process or elsewhere) and Fake in memory, for tests.
// The suite in storetest states the contract as tests and runs on both.
//
// Errors are *Error, of the closed list ErrorKind. They are classified once, where etcd's client returns them. A write whose answer is
// missing is UnknownOutcome: it may have happened.
package store
