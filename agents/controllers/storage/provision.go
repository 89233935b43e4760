package storage

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema/core"
	"gantry/schema/volumes"
)

// provision plans the volume of a claim: a local one is made and bound, any other is the work of the class's provisioner.
func (p *bindingPlan) provision(o claimState) {
	pvc := o.claim
	failed := func(message string) { p.say(claimEvent(pvc, true, "ProvisioningFailed", message)) }
	switch {
	case o.class == nil:
		failed(fmt.Sprintf("storageclass.storage.k8s.io %q not found", core.StorageClassOf(pvc)))
	case o.class.Provisioner == volumes.LocalProvisioner:
		p.provisionLocal(o, failed)
	case o.class.Provisioner == volumes.NoProvisioner:
		p.say(claimEvent(pvc, false, "FailedBinding", "no persistent volumes available for this claim and no storage class is set"))
	default:
		p.requestProvisioning(o)
	}
}

// requestProvisioning marks a claim for an external provisioner.
func (p *bindingPlan) requestProvisioning(o claimState) {
	name := o.class.Provisioner
	if marked := withProvisioner(o.claim, name); marked != o.claim {
		p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolumeClaim, Object: marked, Reason: "its class has an external provisioner"})
	}
	p.say(claimEvent(o.claim, false, "ExternalProvisioning", fmt.Sprintf("Waiting for a volume to be created either by the external provisioner '%s' "+
		"or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.", name)))
}

// withProvisioner is the claim with the annotations for its provisioner; the claim itself where it has them.
func withProvisioner(pvc *corev1.PersistentVolumeClaim, name string) *corev1.PersistentVolumeClaim {
	if pvc.Annotations[volumes.StorageProvisioner] == name && pvc.Annotations[volumes.BetaStorageProvisioner] == name {
		return pvc
	}
	pvc = pvc.DeepCopy()
	volumes.Annotate(pvc, volumes.StorageProvisioner, name)
	volumes.Annotate(pvc, volumes.BetaStorageProvisioner, name)
	return pvc
}

// provisionLocal makes a local volume on the node that the scheduler has chosen.
func (p *bindingPlan) provisionLocal(o claimState, failed func(string)) {
	pvc, class := o.claim, o.class
	because := func(text string) {
		failed(fmt.Sprintf("Failed to provision volume with StorageClass %q: %s", class.Name, text))
	}
	if !annotated(pvc, volumes.SelectedNode) {
		because("no node is selected; local volumes need the volumeBindingMode WaitForFirstConsumer")
		return
	}
	refusal := ""
	switch {
	case o.node == nil:
		refusal = fmt.Sprintf("node %q not found", pvc.Annotations[volumes.SelectedNode])
	case pvc.Spec.DataSource != nil || pvc.Spec.DataSourceRef != nil:
		refusal = fmt.Sprintf("plugin %q is not a CSI plugin. Only CSI plugin can provision a claim with a datasource", volumes.LocalProvisioner)
	case pvc.Spec.VolumeMode != nil && *pvc.Spec.VolumeMode == corev1.PersistentVolumeBlock:
		refusal = fmt.Sprintf("%s does not support block volume provisioning", volumes.LocalProvisioner)
	case pvc.Spec.Selector != nil:
		refusal = "claim.Spec.Selector is not supported for dynamic provisioning"
	case len(class.MountOptions) > 0:
		refusal = fmt.Sprintf("Mount options are not supported by the provisioner but StorageClass %q has mount options %v", class.Name, class.MountOptions)
	case !volumes.InTopologies(class.AllowedTopologies, o.node.Labels):
		refusal = fmt.Sprintf("node %q is in none of the allowed topologies", o.node.Name)
	}
	if refusal != "" {
		because(refusal)
		p.reschedule(pvc)
		return
	}
	p.makeLocal(o)
}

// reschedule takes the selected node from a claim: the scheduler chooses again.
func (p *bindingPlan) reschedule(pvc *corev1.PersistentVolumeClaim) {
	changed := pvc.DeepCopy()
	delete(changed.Annotations, volumes.SelectedNode)
	p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolumeClaim, Object: changed, Reason: "provisioning on its selected node failed"})
}

// makeLocal creates the volume and binds the claim to it. The volume's name derives from the claim, so a repeat collides.
func (p *bindingPlan) makeLocal(o claimState) {
	pvc := withProvisioner(o.claim, volumes.LocalProvisioner)
	pv := volumes.NewLocal(pvc, o.class, o.node)
	reason := "the claim waits for a volume on node " + o.node.Name
	p.do(controller.Action{Do: controller.Create, Kind: core.PersistentVolume, Object: pv, Reason: reason,
		Event:  claimEvent(o.claim, false, "ProvisioningSucceeded", fmt.Sprintf("Successfully provisioned volume %s using %s", pv.Name, volumes.LocalProvisioner)),
		Failed: claimEvent(o.claim, true, "ProvisioningFailed", fmt.Sprintf("Failed to provision volume with StorageClass %q: ", o.class.Name))})
	p.bindClaim(pvc, pv, reason)
}

// expand plans the growth of a bound claim's volume. A local volume is a directory without a limit of its own: its size is what it is said to be.
func (p *bindingPlan) expand(o claimState) {
	pvc, pv := o.claim, o.volume
	wants, has := pvc.Spec.Resources.Requests[corev1.ResourceStorage], pvc.Status.Capacity[corev1.ResourceStorage]
	if wants.Cmp(has) <= 0 || o.class == nil || o.class.AllowVolumeExpansion == nil || !*o.class.AllowVolumeExpansion {
		return
	}
	if volumes.LocalNodeOf(pv) == "" {
		p.say(claimEvent(pvc, false, "ExternalExpanding", "waiting for an external controller to expand this PVC"))
		return
	}
	const reason = "the claim wants more"
	if size := pv.Spec.Capacity[corev1.ResourceStorage]; size.Cmp(wants) < 0 {
		grown := pv.DeepCopy()
		if grown.Spec.Capacity == nil {
			grown.Spec.Capacity = corev1.ResourceList{}
		}
		grown.Spec.Capacity[corev1.ResourceStorage] = wants
		p.do(controller.Action{Do: controller.Update, Kind: core.PersistentVolume, Object: grown, Reason: reason})
	}
	s := *pvc.Status.DeepCopy()
	if s.Capacity == nil {
		s.Capacity = corev1.ResourceList{}
	}
	s.Capacity[corev1.ResourceStorage] = wants
	p.setClaimStatus(pvc, s, reason, claimEvent(pvc, false, "VolumeResizeSuccessful", fmt.Sprintf("ExpandVolume succeeded for volume %s/%s", pvc.Namespace, pvc.Name)))
}
