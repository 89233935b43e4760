package bootstrappolicy

import rbacv1 "k8s.io/api/rbac/v1"

// roles are those in namespaces.
var roles = []role{
	{"kube-public", "system:controller:bootstrap-signer", []rbacv1.PolicyRule{
		can(read, "core", "configmaps"),
		can("update", "core", "configmaps", "cluster-info"),
		events,
	}},
	{"kube-system", "extension-apiserver-authentication-reader", []rbacv1.PolicyRule{
		can(read, "core", "configmaps", "extension-apiserver-authentication"),
	}},
	{"kube-system", "system::leader-locking-kube-controller-manager", []rbacv1.PolicyRule{
		can("create get list update watch", "coordination.k8s.io", "leases"),
		can("create get list update watch", "coordination.k8s.io", "leasecandidates"),
	}},
	{"kube-system", "system::leader-locking-kube-scheduler", []rbacv1.PolicyRule{
		can("create get list update watch", "coordination.k8s.io", "leases"),
		can("create get list update watch", "coordination.k8s.io", "leasecandidates"),
	}},
	{"kube-system", "system:controller:bootstrap-signer", []rbacv1.PolicyRule{
		can(read, "core", "secrets"),
	}},
	{"kube-system", "system:controller:cloud-provider", []rbacv1.PolicyRule{
		can("create get list watch", "core", "configmaps"),
	}},
	{"kube-system", "system:controller:token-cleaner", []rbacv1.PolicyRule{
		can("delete get list watch", "core", "secrets"),
		events,
	}},
}

// roleBindings are those in namespaces.
var roleBindings = []roleBinding{
	{"kube-public", "system:controller:bootstrap-signer", "system:controller:bootstrap-signer", []rbacv1.Subject{account("kube-system", "bootstrap-signer")}},
	{"kube-system", "system::extension-apiserver-authentication-reader", "extension-apiserver-authentication-reader", []rbacv1.Subject{user("system:kube-controller-manager"), user("system:kube-scheduler")}},
	{"kube-system", "system::leader-locking-kube-controller-manager", "system::leader-locking-kube-controller-manager", []rbacv1.Subject{user("system:kube-controller-manager"), account("kube-system", "kube-controller-manager"), account("kube-system", "leader-election-controller")}},
	{"kube-system", "system::leader-locking-kube-scheduler", "system::leader-locking-kube-scheduler", []rbacv1.Subject{user("system:kube-scheduler"), account("kube-system", "kube-scheduler")}},
	{"kube-system", "system:controller:bootstrap-signer", "system:controller:bootstrap-signer", []rbacv1.Subject{account("kube-system", "bootstrap-signer")}},
	{"kube-system", "system:controller:cloud-provider", "system:controller:cloud-provider", []rbacv1.Subject{account("kube-system", "cloud-provider")}},
	{"kube-system", "system:controller:token-cleaner", "system:controller:token-cleaner", []rbacv1.Subject{account("kube-system", "token-cleaner")}},
}
