package bootstrappolicy

import rbacv1 "k8s.io/api/rbac/v1"

// ownRoles are those of Gantry's agents. All but the kubelet, which is a node, work on etcd; the controllers ask a gateway for what is
// not there.
var ownRoles = []clusterRole{
	{name: "gantry:controllers", rules: []rbacv1.PolicyRule{
		can("get list", "metrics.k8s.io", "pods"),
		can("get list", "custom.metrics.k8s.io external.metrics.k8s.io", "*"),
		can("create", "authorization.k8s.io", "subjectaccessreviews"),
		// Objects of extension servers, of any group: as namespace-controller and generic-garbage-collector.
		can("delete deletecollection get list patch update watch", "*", "*"),
	}},
	// As metrics-server's system:aggregated-metrics-reader.
	{name: "gantry:metrics-reader", partOf: "view", rules: []rbacv1.PolicyRule{can("get list", "metrics.k8s.io", "nodes pods")}},
}

var ownBindings = []clusterRoleBinding{
	{"gantry:controllers", []rbacv1.Subject{user("gantry-controllers")}},
}
