package controllers

import (
	"gantry/agents/controllers/apiextensions"
	"gantry/agents/controllers/bootstrap"
	"gantry/agents/controllers/bootstrappolicy"
	"gantry/agents/controllers/certificates"
	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/daemonset"
	"gantry/agents/controllers/disruption"
	"gantry/agents/controllers/horizontalpodautoscaler"
	"gantry/agents/controllers/job"
	"gantry/agents/controllers/lifecycle"
	"gantry/agents/controllers/network"
	"gantry/agents/controllers/resourcequota"
	"gantry/agents/controllers/statefulset"
	volume "gantry/agents/controllers/storage"
	"gantry/agents/controllers/workload"
	"gantry/schema/admissionregistration"
	"gantry/schema/apiregistration"
	"gantry/schema/apps"
	"gantry/schema/batch"
	certs "gantry/schema/certificates"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/flowcontrol"
	"gantry/schema/networking"
	"gantry/schema/policy"
	"gantry/schema/rbac"
	"gantry/schema/scheduling"
	"gantry/schema/storage"
)

// manyWorkers is for controllers whose keys are independent and wait for writes: etcd takes many at the price of one.
const manyWorkers = 64

// table is every controller there is. Order means nothing.
func table(cfg Config) []controller.Controller {
	only, every := controller.Only, controller.Every
	return []controller.Controller{
		{
			Name: "deployment", Doc: "replica sets of deployments: rolling updates, history, status",
			Reads: only(apps.Deployment, apps.ReplicaSet, core.Pod), Writes: only(apps.Deployment, apps.ReplicaSet),
			Workers: manyWorkers, New: workload.NewDeployment,
		},
		{
			Name: "replicaset", Doc: "pods of replica sets: as many as wanted, and their count in the status",
			Reads: only(apps.ReplicaSet, core.Pod), Writes: only(apps.ReplicaSet, core.Pod),
			Workers: manyWorkers, New: workload.NewReplicaSet,
		},
		{
			Name: "job", Doc: "pods of jobs: as many as wanted, how they ended, and the job's end",
			Reads: only(batch.Job, core.Pod), Writes: only(batch.Job, core.Pod),
			Workers: manyWorkers, New: job.NewJob,
		},
		{
			Name: "cronjob", Doc: "jobs of cron jobs at their times, and the end of old ones",
			Reads: only(batch.CronJob, batch.Job), Writes: only(batch.CronJob, batch.Job),
			Workers: manyWorkers, New: job.NewCronJob,
		},
		{
			Name: "ttlafterfinished", Doc: "jobs that finished longer ago than they say", EventSource: "ttl-after-finished-controller",
			Reads: only(batch.Job), Writes: only(batch.Job),
			Workers: 1, New: job.NewTTLAfterFinished,
		},
		{
			Name: "replicationcontroller", Doc: "pods of replication controllers, as those of replica sets", EventSource: "replication-controller",
			Reads: only(core.ReplicationController, core.Pod), Writes: only(core.ReplicationController, core.Pod),
			Workers: manyWorkers, New: workload.NewReplicationController,
		},
		{
			Name: "statefulset", Doc: "pods of stateful sets, their claims and the history of their template",
			Reads:   only(apps.StatefulSet, apps.ControllerRevision, core.Pod, core.PersistentVolumeClaim),
			Writes:  only(apps.StatefulSet, apps.ControllerRevision, core.Pod, core.PersistentVolumeClaim),
			Workers: manyWorkers, New: statefulset.New,
		},
		{
			Name: "daemonset", Doc: "a pod of each daemon set on every node that may run it, and the history of their template",
			Reads:   only(apps.DaemonSet, apps.ControllerRevision, core.Pod, core.Node),
			Writes:  only(apps.DaemonSet, apps.ControllerRevision, core.Pod),
			Workers: manyWorkers, New: daemonset.New,
		},
		{
			Name: "disruption", Doc: "how many pods may be disrupted, in the status of pod disruption budgets", EventSource: "controllermanager",
			Reads: every(), Writes: only(policy.PodDisruptionBudget, core.Pod), // owners of any kind may have a scale
			Workers: manyWorkers, New: disruption.NewDisruption,
		},
		{
			Name: "horizontalpodautoscaler", Doc: "replicas of whatever autoscalers scale, by metrics", EventSource: "horizontal-pod-autoscaler",
			Reads: every(), Writes: every(), // any kind may have a scale
			Workers: 5, New: horizontalpodautoscaler.New(cfg.Gateway),
		},
		{
			Name: "endpointslice", Doc: "endpoint slices of services that have a selector", EventSource: "endpoint-slice-controller",
			Reads: only(core.Service, core.Pod, core.Node, discovery.EndpointSlice), Writes: only(discovery.EndpointSlice),
			Workers: manyWorkers, New: network.NewEndpointSlice,
		},
		{
			Name: "endpoints", Doc: "endpoints of services that have a selector", EventSource: "endpoint-controller",
			Reads: only(core.Service, core.Pod, core.Endpoints), Writes: only(core.Endpoints),
			Workers: manyWorkers, New: network.NewEndpoints,
		},
		{
			Name: "endpointslicemirroring", Doc: "endpoint slices of endpoints made by hand",
			Reads: only(core.Service, core.Endpoints, discovery.EndpointSlice), Writes: only(discovery.EndpointSlice),
			Workers: 1, New: network.NewEndpointSliceMirroring,
		},
		{
			Name: "kubernetesservice", Doc: "the Service kubernetes, leading to the gateways whose identity leases are renewed",
			Reads:   only(core.Namespace, core.Service, core.Endpoints, discovery.EndpointSlice, coordination.Lease),
			Writes:  only(core.Service, core.Endpoints, discovery.EndpointSlice, coordination.Lease),
			Workers: 1, New: network.NewKubernetesService(cfg.ServiceCIDRs),
		},
		{
			Name: "kubedns", Doc: "the Service kube-dns, at the address of the nodes' name servers",
			Reads: only(core.Namespace, core.Service), Writes: only(core.Service),
			Workers: 1, New: network.NewKubeDNS(cfg.ServiceCIDRs, cfg.ClusterDNS),
		},
		{
			Name: "servicecidr", Doc: "whether service CIDRs are ready, and which are kept because of their addresses", EventSource: "service-cidr-controller",
			Reads: only(networking.ServiceCIDR, networking.IPAddress), Writes: only(networking.ServiceCIDR),
			Workers: 1, New: network.NewServiceCIDR(cfg.ServiceCIDRs),
		},
		{
			Name: "loadbalancer", Doc: "addresses of services of type LoadBalancer", EventSource: "service-controller",
			Reads: only(core.Service, core.Node, discovery.EndpointSlice), Writes: only(core.Service),
			Workers: 1, New: network.NewLoadBalancer(cfg.LoadBalancerAddresses), // two workers could give out one address twice
		},
		{
			Name: "namespace", Doc: "the first namespaces, and the emptying of those being deleted",
			Reads: every(), Writes: every(),
			Workers: 4, New: lifecycle.NewNamespace(cfg.Gateway),
		},
		{
			Name: "systemobjects", Doc: "the priority classes, flow schemas, priority levels and the service CIDR that every cluster has",
			Reads:   only(scheduling.PriorityClass, flowcontrol.FlowSchema, flowcontrol.PriorityLevelConfiguration, networking.ServiceCIDR),
			Writes:  only(scheduling.PriorityClass, flowcontrol.FlowSchema, flowcontrol.PriorityLevelConfiguration, networking.ServiceCIDR),
			Workers: 1, New: lifecycle.NewSystemObjects(cfg.ServiceCIDRs),
		},
		{
			Name: "bootstrappolicy", Doc: "the roles and bindings that every cluster has, put right at every start",
			Reads:   only(rbac.ClusterRole, rbac.ClusterRoleBinding, rbac.Role, rbac.RoleBinding, core.Namespace),
			Writes:  only(rbac.ClusterRole, rbac.ClusterRoleBinding, rbac.Role, rbac.RoleBinding),
			Workers: 1, New: bootstrappolicy.New, // one: its many first writes delay no others
		},
		{
			Name: "flowschema", Doc: "whether the priority levels of flow schemas exist",
			Reads: only(flowcontrol.FlowSchema, flowcontrol.PriorityLevelConfiguration), Writes: only(flowcontrol.FlowSchema),
			Workers: 1, New: lifecycle.NewFlowSchema,
		},
		{
			Name: "validatingadmissionpolicystatus", Doc: "which expressions of validating admission policies do not fit the types of their objects",
			Reads: only(admissionregistration.ValidatingAdmissionPolicy), Writes: only(admissionregistration.ValidatingAdmissionPolicy),
			Workers: 1, New: lifecycle.NewPolicyStatus,
		},
		{
			Name: "customresourcedefinition", Doc: "names and conditions of custom resource definitions, and the end of their objects with them",
			Reads: every(), Writes: every(), // objects of custom kinds
			Workers: 1, New: apiextensions.NewDefinition,
		},
		{
			Name: "apiserviceregistration", Doc: "an API service for every version of a group that is served",
			Reads: only(apiregistration.APIService), Writes: only(apiregistration.APIService),
			Workers: 1, New: lifecycle.NewAPIServiceRegistration,
		},
		{
			Name: "apiserviceavailability", Doc: "whether API services are available: what their services lead to answers",
			Reads: only(apiregistration.APIService, core.Service, discovery.EndpointSlice), Writes: only(apiregistration.APIService),
			Workers: manyWorkers, New: lifecycle.NewAPIServiceAvailability(cfg.FrontProxyClient),
		},
		{
			Name: "namespacegc", Doc: "what is left in namespaces that were deleted past the API",
			Reads: every(), Writes: every(),
			Workers: 1, New: lifecycle.NewNamespaceGC(cfg.Gateway),
		},
		{
			Name: "resourcequota", Doc: "what is used below resource quotas, and their status",
			Reads: every(), Writes: only(core.ResourceQuota),
			Workers: 4, New: resourcequota.New,
		},
		{
			Name: "clusterroleaggregation", Doc: "rules of cluster roles that are made of others", EventSource: "clusterrole-aggregation-controller",
			Reads: only(rbac.ClusterRole), Writes: only(rbac.ClusterRole),
			Workers: 1, New: lifecycle.NewClusterRoleAggregation,
		},
		{
			Name: "serviceaccount", Doc: "the service account default in every namespace",
			Reads: only(core.Namespace, core.ServiceAccount), Writes: only(core.ServiceAccount),
			Workers: 1, New: lifecycle.NewServiceAccount,
		},
		{
			Name: "serviceaccounttoken", Doc: "tokens in the Secrets made for them, and those Secrets' end with their account",
			Reads: only(core.Secret, core.ServiceAccount), Writes: only(core.Secret, core.ServiceAccount),
			Workers: manyWorkers, New: lifecycle.NewServiceAccountToken(cfg.ServiceAccountKey, cfg.RootCA),
		},
		{
			Name: "rootca", Doc: "the config map kube-root-ca.crt in every namespace",
			Reads: only(core.Namespace, core.ConfigMap), Writes: only(core.ConfigMap),
			Workers: 1, New: lifecycle.NewRootCA(cfg.RootCA),
		},
		{
			Name: "csrapproving", Doc: "approval of what kubelets request for themselves",
			Reads: only(certs.CertificateSigningRequest), Writes: only(certs.CertificateSigningRequest),
			Workers: 5, New: certificates.NewApprover(cfg.Gateway),
		},
		{
			Name: "csrsigning", Doc: "certificates for approved requests to the signers of kubernetes.io",
			Reads: only(certs.CertificateSigningRequest), Writes: only(certs.CertificateSigningRequest),
			Workers: 5, New: certificates.NewSigner(cfg.Authorities),
		},
		{
			Name: "csrcleaner", Doc: "certificate signing requests that have served or that nobody decided",
			Reads: only(certs.CertificateSigningRequest), Writes: only(certs.CertificateSigningRequest),
			Workers: 1, New: certificates.NewCleaner,
		},
		{
			Name: "tokencleaner", Doc: "bootstrap tokens that have expired", EventSource: "token-cleaner",
			Reads: only(core.Secret), Writes: only(core.Secret),
			Workers: 1, New: bootstrap.NewTokenCleaner,
		},
		{
			Name: "bootstrapsigner", Doc: "signatures of the config map cluster-info by bootstrap tokens", EventSource: "bootstrap-signer",
			Reads: only(core.Secret, core.ConfigMap), Writes: only(core.ConfigMap),
			Workers: 1, New: bootstrap.NewSigner,
		},
		{
			Name: "garbage", Doc: "objects whose owners are gone, and owners that wait for their dependents or orphan them", EventSource: "garbage-collector-controller",
			Reads: every(), Writes: every(),
			Workers: manyWorkers, New: lifecycle.NewGarbage(cfg.Gateway),
		},
		{
			Name: "podgc", Doc: "pods that have ended, lost their node or never got one",
			Reads: only(core.Pod, core.Node), Writes: only(core.Pod),
			Workers: 1, New: lifecycle.NewPodGC(cfg.TerminatedPodThreshold),
		},
		{
			Name: "persistentvolumebinder", Doc: "claims and volumes: which belong together, local volumes, and their end", EventSource: "persistentvolume-controller",
			Reads:   only(core.PersistentVolumeClaim, core.PersistentVolume, storage.StorageClass, core.Pod, core.Node),
			Writes:  only(core.PersistentVolumeClaim, core.PersistentVolume),
			Workers: 4, New: volume.NewBinder,
		},
		{
			Name: "defaultstorageclass", Doc: "the storage class local, once in a cluster's life",
			Reads: only(core.Namespace, storage.StorageClass), Writes: only(core.Namespace, storage.StorageClass),
			Workers: 1, New: volume.NewDefaultClass,
		},
		{
			Name: "ephemeralvolume", Doc: "the claims of pods' ephemeral volumes", EventSource: "ephemeral_volume",
			Reads: only(core.Pod, core.PersistentVolumeClaim), Writes: only(core.PersistentVolumeClaim),
			Workers: manyWorkers, New: volume.NewEphemeral,
		},
		{
			Name: "attachdetach", Doc: "attachments of CSI drivers' volumes to the nodes whose pods use them",
			Reads:  only(core.Pod, core.Node, core.PersistentVolumeClaim, core.PersistentVolume, storage.VolumeAttachment, storage.CSIDriver),
			Writes: only(storage.VolumeAttachment, core.Node), Workers: 2, New: volume.NewAttacher,
		},
		{
			Name: "pvcprotection", Doc: "claims that are being deleted and that no pod uses", EventSource: "persistentvolumeclaim-protection-controller",
			Reads: only(core.PersistentVolumeClaim, core.Pod, core.PersistentVolume), Writes: only(core.PersistentVolumeClaim, core.PersistentVolume),
			Workers: 1, New: volume.NewClaimProtection,
		},
		{
			Name: "pvprotection", Doc: "volumes that are being deleted and are not bound", EventSource: "persistentvolume-protection-controller",
			Reads: only(core.PersistentVolume), Writes: only(core.PersistentVolume),
			Workers: 1, New: volume.NewVolumeProtection,
		},
		{
			Name: "vacprotection", Doc: "volume attributes classes that are being deleted and not used", EventSource: "volumeattributesclass-protection-controller",
			Reads:   only(storage.VolumeAttributesClass, core.PersistentVolumeClaim, core.PersistentVolume),
			Writes:  only(storage.VolumeAttributesClass),
			Workers: 1, New: volume.NewAttributesClassProtection,
		},
		{
			Name: "eventgc", Doc: "events that last happened more than an hour ago",
			Reads: only(core.Event), Writes: only(core.Event),
			Workers: 1, New: lifecycle.NewEventGC,
		},
		{
			Name: "nodelifecycle", Doc: "unreachable nodes: their conditions, taints and the pods on them", EventSource: "node-controller",
			Reads: only(core.Node, coordination.Lease, core.Pod, core.Namespace), Writes: only(core.Node, core.Pod),
			Workers: manyWorkers, New: lifecycle.NewNodeLifecycle(cfg.NodeMonitorGracePeriod),
		},
		{
			Name: "taint", Doc: "eviction of pods that do not tolerate a NoExecute taint", EventSource: "taint-eviction-controller",
			Reads: only(core.Node, core.Pod), Writes: only(core.Pod),
			Workers: manyWorkers, New: lifecycle.NewTaint,
		},
		{
			Name: "nodeipam", Doc: "a part of the cluster's pod addresses for each node", EventSource: "cidrAllocator",
			Reads: only(core.Node), Writes: only(core.Node),
			Workers: 1, New: network.NewNodeIPAM(cfg.ClusterCIDRs, cfg.NodeMask4, cfg.NodeMask6), // two workers could give out one range twice
		},
		{
			Name: "bynode", Doc: "repair of the copies of pods and local volumes that nodes read, and what becomes of pods that vanished",
			Reads:   only(core.Pod, core.PersistentVolume, core.Namespace, apps.ReplicaSet),
			Workers: 1, New: lifecycle.NewByNode,
		},
		{
			Name: "claims", Doc: "repair of the claims on cluster IPs and node ports",
			Reads:   only(core.Service),
			Workers: 1, New: network.NewAddressClaims,
		},
	}
}
