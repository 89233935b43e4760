// Package kinds is the table of the built-in kinds. A new kind is one file and one row here.
package kinds

import (
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/autoscaling"
	"gantry/schema/batch"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/networking"
	"gantry/schema/node"
	"gantry/schema/policy"
	"gantry/schema/rbac"
	"gantry/schema/scheduling"
)

// New returns a holder of the built-in kinds: what a process begins with.
func New() *schema.Kinds { return schema.NewKinds(BuiltIn()) }

// BuiltIn is the set of the built-in kinds. The order is the order of discovery.
func BuiltIn() *schema.Set {
	return schema.NewSet(
		core.Namespace,
		core.Node,
		core.Pod,
		core.PodTemplate,
		core.ReplicationController,
		core.Service,
		core.Endpoints,
		core.ConfigMap,
		core.Secret,
		core.ServiceAccount,
		core.Event,
		apps.ControllerRevision,
		apps.DaemonSet,
		apps.Deployment,
		apps.ReplicaSet,
		apps.StatefulSet,
		autoscaling.HorizontalPodAutoscaler,
		batch.CronJob,
		batch.Job,
		networking.IngressClass,
		networking.Ingress,
		networking.IPAddress,
		networking.NetworkPolicy,
		networking.ServiceCIDR,
		policy.PodDisruptionBudget,
		rbac.ClusterRoleBinding,
		rbac.ClusterRole,
		rbac.RoleBinding,
		rbac.Role,
		scheduling.PriorityClass,
		coordination.Lease,
		node.RuntimeClass,
		discovery.EndpointSlice,
	)
}
