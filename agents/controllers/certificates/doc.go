// Package certificates has the controllers of certificate signing requests: csrapproving approves what kubelets may request for
// themselves, csrsigning signs what is approved for the signers of the group kubernetes.io, and csrcleaner deletes what is decided,
// issued or forgotten.
//
// Only a process that has the key of the cluster's authority signs (pki/ca.key in the data directory).
package certificates
