// Package bootstrap has the controllers of bootstrap tokens, with which machines join a cluster (agents/internal/bootstraptoken):
// tokencleaner deletes Secrets of tokens that have expired, and bootstrapsigner signs the ConfigMap kube-public/cluster-info with tokens, so that
// who has a token can tell that the cluster's address and CA in it are right. The gateways make that ConfigMap.
package bootstrap
