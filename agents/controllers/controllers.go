package controllers

import (
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/kinds"
)

// table is every controller there is. Order means nothing.
func table(cfg Config) []controller {
	k := func(kinds ...*schema.Kind) []*schema.Kind { return kinds }
	return []controller{
		{"deployment", "replica sets of deployments: rolling updates, history, status", k(apps.Deployment, apps.ReplicaSet, core.Pod), k(apps.Deployment, apps.ReplicaSet), 4, setupDeployment},
		{"replicaset", "pods of replica sets: as many as wanted, and their count in the status", k(apps.ReplicaSet, core.Pod), k(apps.ReplicaSet, core.Pod), 4, setupReplicaSet},
		{"endpointslice", "endpoint slices of services that have a selector", k(core.Service, core.Pod, core.Node, discovery.EndpointSlice), k(discovery.EndpointSlice), 4, setupEndpointSlice},
		{"endpoints", "endpoints of services that have a selector", k(core.Service, core.Pod, core.Endpoints), k(core.Endpoints), 2, setupEndpoints},
		{"endpointslicemirroring", "endpoint slices of endpoints made by hand", k(core.Service, core.Endpoints, discovery.EndpointSlice), k(discovery.EndpointSlice), 1, setupMirroring},
		{"namespace", "the first namespaces, and the emptying of those being deleted", kinds.All.All, kinds.All.All, 4, setupNamespace},
		{"namespacegc", "what is left in namespaces that were deleted past the API", kinds.All.All, kinds.All.All, 1, setupNamespaceGC},
		{"serviceaccount", "the service account default in every namespace", k(core.Namespace, core.ServiceAccount), k(core.ServiceAccount), 1, setupServiceAccount},
		{"serviceaccounttoken", "tokens in the Secrets made for them, and those Secrets' end with their account", k(core.Secret, core.ServiceAccount), k(core.Secret, core.ServiceAccount), 2, setupAccountTokens(cfg.ServiceAccountKey, cfg.RootCA)},
		{"rootca", "the config map kube-root-ca.crt in every namespace", k(core.Namespace, core.ConfigMap), k(core.ConfigMap), 1, setupRootCA(cfg.RootCA)},
		{"garbage", "objects whose owners are gone, and owners that wait for or let go of theirs", kinds.All.All, kinds.All.All, 4, setupGarbage},
		{"podgc", "pods that have ended, lost their node or never got one", k(core.Pod, core.Node), k(core.Pod), 1, setupPodGC(cfg.TerminatedPodThreshold)},
		{"eventgc", "events that last happened more than an hour ago", k(core.Event), k(core.Event), 1, setupEventGC},
		{"nodelifecycle", "silent nodes: their conditions, taints and the pods on them", k(core.Node, coordination.Lease, core.Pod), k(core.Node, core.Pod), 4, setupNodeLifecycle(cfg.NodeMonitorGracePeriod)},
		{"taint", "eviction of pods that do not tolerate a NoExecute taint", k(core.Node, core.Pod), k(core.Pod), 4, setupTaint},
		{"nodeipam", "a part of the cluster's pod addresses for each node", k(core.Node), k(core.Node), 1, setupNodeIPAM(cfg.ClusterCIDR, cfg.NodeCIDRMask)},
		{"bynode", "repair of the pods' copies that nodes read", k(core.Pod), nil, 1, setupByNode},
		{"claims", "repair of the claims on cluster IPs and node ports", k(core.Service), nil, 1, setupClaims},
	}
}
