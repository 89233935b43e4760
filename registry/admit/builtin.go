package admit

// BuiltIn are the rules that every cluster has, in Kubernetes' order.
func BuiltIn() Rules {
	return Rules{
		{"NamespaceLifecycle", "objects need a namespace that exists and is not terminating; the first namespaces are not deleted",
			wantsNamespace, namespaceLifecycle, nil},
		{"ServiceAccount", "a pod runs as a service account that exists and gets its token",
			resource("pods", Create), giveAccount, checkAccount},
		{"TaintNodesByCondition", "a new node takes no pods until it is ready",
			resource("nodes", Create), taintNode, nil},
		{"Priority", "a pod's priority comes from its class; one class at most is the default",
			wantsPriority, setPriority, checkPriorityClass},
		{"DefaultTolerationSeconds", "a pod stays five minutes on a node that is not ready or unreachable",
			resource("pods", Create, Update), addTolerations, nil},
		{"RuntimeClass", "a pod gets the overhead, node selector and tolerations of its runtime class, which exists",
			resource("pods", Create), applyRuntimeClass, checkOverhead},
	}
}
