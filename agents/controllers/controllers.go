package controllers

import (
	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/lifecycle"
	"gantry/agents/controllers/network"
	"gantry/agents/controllers/workload"
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/kinds"
)

// table is every controller there is. Order means nothing.
func table(cfg Config) []controller.Controller {
	k := func(kinds ...*schema.Kind) []*schema.Kind { return kinds }
	return []controller.Controller{
		{Name: "deployment", Doc: "replica sets of deployments: rolling updates, history, status", Reads: k(apps.Deployment, apps.ReplicaSet, core.Pod), Writes: k(apps.Deployment, apps.ReplicaSet), Workers: 4, New: workload.NewDeployment},
		{Name: "replicaset", Doc: "pods of replica sets: as many as wanted, and their count in the status", Reads: k(apps.ReplicaSet, core.Pod), Writes: k(apps.ReplicaSet, core.Pod), Workers: 4, New: workload.NewReplicaSet},
		{Name: "endpointslice", Doc: "endpoint slices of services that have a selector", Reads: k(core.Service, core.Pod, core.Node, discovery.EndpointSlice), Writes: k(discovery.EndpointSlice), Workers: 4, New: network.NewEndpointSlice},
		{Name: "endpoints", Doc: "endpoints of services that have a selector", Reads: k(core.Service, core.Pod, core.Endpoints), Writes: k(core.Endpoints), Workers: 2, New: network.NewEndpoints},
		{Name: "endpointslicemirroring", Doc: "endpoint slices of endpoints made by hand", Reads: k(core.Service, core.Endpoints, discovery.EndpointSlice), Writes: k(discovery.EndpointSlice), Workers: 1, New: network.NewEndpointSliceMirroring},
		{Name: "namespace", Doc: "the first namespaces, and the emptying of those being deleted", Reads: kinds.BuiltIn().All, Writes: kinds.BuiltIn().All, Workers: 4, New: lifecycle.NewNamespace},
		{Name: "namespacegc", Doc: "what is left in namespaces that were deleted past the API", Reads: kinds.BuiltIn().All, Writes: kinds.BuiltIn().All, Workers: 1, New: lifecycle.NewNamespaceGC},
		{Name: "serviceaccount", Doc: "the service account default in every namespace", Reads: k(core.Namespace, core.ServiceAccount), Writes: k(core.ServiceAccount), Workers: 1, New: lifecycle.NewServiceAccount},
		{Name: "serviceaccounttoken", Doc: "tokens in the Secrets made for them, and those Secrets' end with their account", Reads: k(core.Secret, core.ServiceAccount), Writes: k(core.Secret, core.ServiceAccount), Workers: 2, New: lifecycle.NewServiceAccountToken(cfg.ServiceAccountKey, cfg.RootCA)},
		{Name: "rootca", Doc: "the config map kube-root-ca.crt in every namespace", Reads: k(core.Namespace, core.ConfigMap), Writes: k(core.ConfigMap), Workers: 1, New: lifecycle.NewRootCA(cfg.RootCA)},
		{Name: "garbage", Doc: "objects whose owners are gone, and owners that wait for or let go of theirs", Reads: kinds.BuiltIn().All, Writes: kinds.BuiltIn().All, Workers: 4, New: lifecycle.NewGarbage},
		{Name: "podgc", Doc: "pods that have ended, lost their node or never got one", Reads: k(core.Pod, core.Node), Writes: k(core.Pod), Workers: 1, New: lifecycle.NewPodGC(cfg.TerminatedPodThreshold)},
		{Name: "eventgc", Doc: "events that last happened more than an hour ago", Reads: k(core.Event), Writes: k(core.Event), Workers: 1, New: lifecycle.NewEventGC},
		{Name: "nodelifecycle", Doc: "silent nodes: their conditions, taints and the pods on them", Reads: k(core.Node, coordination.Lease, core.Pod), Writes: k(core.Node, core.Pod), Workers: 4, New: lifecycle.NewNodeLifecycle(cfg.NodeMonitorGracePeriod)},
		{Name: "taint", Doc: "eviction of pods that do not tolerate a NoExecute taint", Reads: k(core.Node, core.Pod), Writes: k(core.Pod), Workers: 4, New: lifecycle.NewTaint},
		{Name: "nodeipam", Doc: "a part of the cluster's pod addresses for each node", Reads: k(core.Node), Writes: k(core.Node), Workers: 1, New: network.NewNodeIPAM(cfg.ClusterCIDR, cfg.NodeCIDRMask)},
		{Name: "bynode", Doc: "repair of the pods' copies that nodes read", Reads: k(core.Pod), Writes: nil, Workers: 1, New: lifecycle.NewByNode},
		{Name: "claims", Doc: "repair of the claims on cluster IPs and node ports", Reads: k(core.Service), Writes: nil, Workers: 1, New: network.NewAddressClaims},
	}
}
