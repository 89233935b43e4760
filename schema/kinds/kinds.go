// Package kinds is the table of the built-in kinds. A new kind is one file and one row here.
package kinds

import (
	"gantry/schema"
	"gantry/schema/admissionregistration"
	"gantry/schema/apiextensions"
	"gantry/schema/apiregistration"
	"gantry/schema/apps"
	"gantry/schema/autoscaling"
	"gantry/schema/batch"
	"gantry/schema/certificates"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
	"gantry/schema/flowcontrol"
	"gantry/schema/networking"
	"gantry/schema/node"
	"gantry/schema/policy"
	"gantry/schema/rbac"
	"gantry/schema/resource"
	"gantry/schema/scheduling"
	"gantry/schema/storage"
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
		core.LimitRange,
		core.PersistentVolumeClaim,
		core.PersistentVolume,
		core.PodTemplate,
		core.ReplicationController,
		core.ResourceQuota,
		apiregistration.APIService,
		apps.ControllerRevision,
		apps.DaemonSet,
		apps.Deployment,
		apps.ReplicaSet,
		apps.StatefulSet,
		autoscaling.HorizontalPodAutoscaler,
		batch.CronJob,
		batch.Job,
		certificates.CertificateSigningRequest,
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
		storage.CSIDriver,
		storage.CSINode,
		storage.CSIStorageCapacity,
		storage.StorageClass,
		storage.VolumeAttachment,
		storage.VolumeAttributesClass,
		admissionregistration.MutatingAdmissionPolicy,
		admissionregistration.MutatingAdmissionPolicyBinding,
		admissionregistration.MutatingWebhookConfiguration,
		admissionregistration.ValidatingAdmissionPolicy,
		admissionregistration.ValidatingAdmissionPolicyBinding,
		admissionregistration.ValidatingWebhookConfiguration,
		apiextensions.CustomResourceDefinition,
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
