package admit

import networkingv1 "k8s.io/api/networking/v1"

// BuiltIn are the rules that every cluster has, in Kubernetes' order.
func BuiltIn() Rules {
	return Rules{
		{"NamespaceLifecycle", "objects need a namespace that exists and is not terminating; the first namespaces are not deleted",
			wantsNamespace, namespaceLifecycle, nil},
		{"LimitRanger", "requests and limits of pods and claims are those of the namespace's limit ranges, or within them",
			wantsLimits, setLimits, checkLimits},
		{"ServiceAccount", "a pod runs as a service account that exists and gets its token",
			wantsAccount, giveAccount, checkAccount},
		{"TaintNodesByCondition", "a new node takes no pods until it is ready",
			resource("nodes", Create), taintNode, nil},
		{"Priority", "a pod's priority comes from its class; one class at most is the default",
			wantsPriority, setPriority, checkPriorityClass},
		{"DefaultTolerationSeconds", "a pod stays five minutes on a node that is not ready or unreachable",
			resource("pods", Create, Update), addTolerations, nil},
		{"DefaultStorageClass", "a new claim that names no storage class has the default one",
			resource("persistentvolumeclaims", Create), setStorageClass, nil},
		{"StorageObjectInUseProtection", "claims, volumes and volume attributes classes stay while they are used",
			wantsProtection, protectStorage, nil},
		{"PersistentVolumeClaimResize", "a claim grows where it is bound and its storage class lets it",
			resource("persistentvolumeclaims", Update), nil, checkResize},
		{"RuntimeClass", "a pod gets the overhead, node selector and tolerations of its runtime class, which exists",
			resource("pods", Create), applyRuntimeClass, checkOverhead},
		{"CertificateSubjectRestriction", "nobody requests a client certificate of the group system:masters",
			wantsRequest, nil, checkSubject},
		{"DefaultIngressClass", "a new ingress that names no class has the default one",
			resourceOf(networkingv1.GroupName, "ingresses", Create), setIngressClass, nil},
		{"ResourceClaimAdminAccess", "claims on devices in use are for namespaces with a label; Kubernetes has this rule in the kind itself",
			wantsAdminAccess, nil, checkAdminAccess},
		{"PodEviction", "a pod is evicted where its disruption budget allows it; Kubernetes has this rule in the subresource itself",
			wantsEviction, nil, spendBudget},
	}
}
