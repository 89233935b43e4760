package admit

import networkingv1 "k8s.io/api/networking/v1"

// BuiltIn are the rules that every cluster has unless they are disabled, in Kubernetes' order.
func BuiltIn() Rules {
	podSecurity, err := PodSecurity(nil)
	if err != nil {
		panic(err) // its defaults are valid
	}
	return Rules{
		{
			Name: "NamespaceLifecycle", Doc: "objects need a namespace that exists and is not terminating; the first namespaces are not deleted",
			Wants: wantsNamespace, Mutate: namespaceLifecycle,
		},
		{
			Name: "LimitRanger", Doc: "requests and limits of pods and claims are those of the namespace's limit ranges, or within them",
			Wants: wantsLimits, Mutate: setLimits, Validate: checkLimits,
		},
		{
			Name: "ServiceAccount", Doc: "a pod runs as a service account that exists and gets its token",
			Wants: wantsAccount, Mutate: giveAccount, Validate: checkAccount,
		},
		{
			Name: "TaintNodesByCondition", Doc: "a new node takes no pods until it is ready",
			Wants: Resource("nodes", Create), Mutate: taintNode,
		},
		podSecurity,
		{
			Name: "Priority", Doc: "a pod's priority comes from its class; one class at most is the default",
			Wants: wantsPriority, Mutate: setPriority, Validate: checkPriorityClass,
		},
		{
			Name: "DefaultTolerationSeconds", Doc: "a pod stays five minutes on a node that is not ready or unreachable",
			Wants: Resource("pods", Create, Update), Mutate: addTolerations,
		},
		{
			Name: "DefaultStorageClass", Doc: "a new claim that names no storage class has the default one",
			Wants: Resource("persistentvolumeclaims", Create), Mutate: setStorageClass,
		},
		{
			Name: "StorageObjectInUseProtection", Doc: "claims, volumes and volume attributes classes stay while they are used",
			Wants: wantsProtection, Mutate: protectStorage,
		},
		{
			Name: "PersistentVolumeClaimResize", Doc: "a claim grows where it is bound and its storage class lets it",
			Wants: Resource("persistentvolumeclaims", Update), Validate: checkResize,
		},
		{
			Name: "RuntimeClass", Doc: "a pod gets the overhead, node selector and tolerations of its runtime class, which exists",
			Wants: Resource("pods", Create), Mutate: applyRuntimeClass, Validate: checkOverhead,
		},
		{
			Name: "CertificateApproval", Doc: "only who may approve a signer's requests decides them",
			Wants: wantsRequestPart("approval"), Validate: checkApproval,
		},
		{
			Name: "CertificateSigning", Doc: "only who may sign a signer's requests sets certificates and conditions",
			Wants: wantsRequestPart("status"), Validate: checkSigning,
		},
		{
			Name: "CertificateSubjectRestriction", Doc: "nobody requests a client certificate of the group system:masters",
			Wants: wantsRequest, Validate: checkSubject,
		},
		{
			Name: "DefaultIngressClass", Doc: "a new ingress that names no class has the default one",
			Wants: resourceOf(networkingv1.GroupName, "ingresses", Create), Mutate: setIngressClass,
		},
		{
			Name: "ResourceClaimAdminAccess", Doc: "claims on devices in use are for namespaces with a label; Kubernetes has this rule in the kind itself",
			Wants: wantsAdminAccess, Validate: checkAdminAccess,
		},
		{
			Name: "PodEviction", Doc: "a pod is evicted where its disruption budget allows it; Kubernetes has this rule in the subresource itself",
			Wants: wantsEviction, Validate: spendBudget,
		},
		{
			Name: ResourceQuota, Doc: "what a namespace's quotas limit is not exceeded, and is counted with each object",
			Within: "resourcequotas", Wants: wantsQuota, Validate: countUsage,
		},
	}
}
