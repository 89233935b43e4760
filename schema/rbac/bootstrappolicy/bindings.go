package bootstrappolicy

import rbacv1 "k8s.io/api/rbac/v1"

// clusterRoleBindings are those of Kubernetes 1.36 but the controllers': each binds the role of its name.
var clusterRoleBindings = []clusterRoleBinding{
	{"cluster-admin", []rbacv1.Subject{group("system:masters")}},
	{"system:basic-user", []rbacv1.Subject{group("system:authenticated")}},
	{"system:discovery", []rbacv1.Subject{group("system:authenticated")}},
	{"system:kube-controller-manager", []rbacv1.Subject{user("system:kube-controller-manager")}},
	{"system:kube-dns", []rbacv1.Subject{account("kube-system", "kube-dns")}},
	{"system:kube-scheduler", []rbacv1.Subject{user("system:kube-scheduler")}},
	{"system:monitoring", []rbacv1.Subject{group("system:monitoring")}},
	{"system:node", []rbacv1.Subject{}},
	{"system:node-proxier", []rbacv1.Subject{user("system:kube-proxy")}},
	{"system:public-info-viewer", []rbacv1.Subject{group("system:authenticated"), group("system:unauthenticated")}},
	{"system:service-account-issuer-discovery", []rbacv1.Subject{group("system:serviceaccounts")}},
	{"system:volume-scheduler", []rbacv1.Subject{user("system:kube-scheduler")}},
}
