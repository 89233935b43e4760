// Package kinds is the table of the built-in kinds. A new kind is one file and one row here.
package kinds

import (
	"gantry/schema"
	"gantry/schema/admissionregistration"
	"gantry/schema/apiregistration"
	"gantry/schema/apps"
	"gantry/schema/certificates"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/flowcontrol"
	"gantry/schema/networking"
	"gantry/schema/node"
	"gantry/schema/rbac"
	"gantry/schema/resource"
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
		core.Service,
		core.Endpoints,
		core.ConfigMap,
		core.Secret,
		core.ServiceAccount,
		core.Event,
		apiregistration.APIService,
		apps.ControllerRevision,
		apps.DaemonSet,
		apps.Deployment,
		apps.ReplicaSet,
		apps.StatefulSet,
		certificates.CertificateSigningRequest,
		networking.IngressClass,
		networking.Ingress,
		networking.IPAddress,
		networking.NetworkPolicy,
		networking.ServiceCIDR,
		rbac.ClusterRoleBinding,
		rbac.ClusterRole,
		rbac.RoleBinding,
		rbac.Role,
		admissionregistration.MutatingAdmissionPolicy,
		admissionregistration.MutatingAdmissionPolicyBinding,
		admissionregistration.MutatingWebhookConfiguration,
		admissionregistration.ValidatingAdmissionPolicy,
		admissionregistration.ValidatingAdmissionPolicyBinding,
		admissionregistration.ValidatingWebhookConfiguration,
		scheduling.PriorityClass,
		coordination.Lease,
		node.RuntimeClass,
		discovery.EndpointSlice,
		resource.DeviceClass,
		resource.ResourceClaim,
		resource.ResourceClaimTemplate,
		resource.ResourceSlice,
		flowcontrol.FlowSchema,
		flowcontrol.PriorityLevelConfiguration,
	)
}
