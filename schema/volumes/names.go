// Package volumes says how persistent volumes, claims and storage classes fit together: what is bound to what, which volume a claim may have,
// which nodes reach a volume, and what a local volume of Gantry looks like. It is pure.
package volumes

// The annotations that Kubernetes' persistent volume controller and scheduler keep on volumes and claims.
const (
	// BindCompleted is on a claim whose binding was completed once. Its value does not matter.
	BindCompleted = "pv.kubernetes.io/bind-completed"
	// BoundByController is on a volume or claim that the controller bound, not a user.
	BoundByController = "pv.kubernetes.io/bound-by-controller"
	// SelectedNode is on a claim: the node on which its volume is to be provisioned.
	SelectedNode = "volume.kubernetes.io/selected-node"
	// ProvisionedBy is on a volume: the provisioner that made it.
	ProvisionedBy = "pv.kubernetes.io/provisioned-by"
	// StorageProvisioner is on a claim: the provisioner that is to make its volume.
	StorageProvisioner     = "volume.kubernetes.io/storage-provisioner"
	BetaStorageProvisioner = "volume.beta.kubernetes.io/storage-provisioner"
)

// NoProvisioner is the provisioner of classes whose volumes are made by hand.
const NoProvisioner = "kubernetes.io/no-provisioner"
