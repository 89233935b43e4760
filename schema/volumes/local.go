package volumes

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/schema/core"
)

const (
	// LocalProvisioner is the provisioner whose volumes are directories of a node. The controller persistentvolumebinder makes the volumes,
	// the kubelet of the node makes and removes the directories.
	LocalProvisioner = "gantry.io/local"
	// LocalFinalizer is on a local volume until the kubelet has removed its directory.
	LocalFinalizer = "gantry.io/local-volume"
	// LocalNode is the annotation of a local volume that names its node.
	LocalNode = "gantry.io/local-node"
	// ReleasedByClaim is the annotation of a local volume with the uid of its claim, once that is being deleted through the API and not used
	// any more. Only a volume with it loses its data when its claim is gone: a claim may also vanish from etcd by hand.
	ReleasedByClaim = "gantry.io/released-by-claim"
	// LocalDirectory is the annotation of a node that says where its local volumes are.
	LocalDirectory = "gantry.io/local-volumes-dir"
	// DefaultLocalDirectory is where they are on a node without that annotation.
	DefaultLocalDirectory = "/var/lib/gantry/volumes"
	// LocalClass is the name of the class of these volumes.
	LocalClass = "local"
	// ClassCreated is the annotation of the namespace kube-system once the cluster has had that class. Without it the class is created again.
	ClassCreated = "gantry.io/created-storage-class"
)

// DefaultClass is the storage class of local volumes, marked as the default.
func DefaultClass() *storagev1.StorageClass {
	wait, reclaim, expand := storagev1.VolumeBindingWaitForFirstConsumer, corev1.PersistentVolumeReclaimDelete, true
	return &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: LocalClass, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: LocalProvisioner, VolumeBindingMode: &wait, ReclaimPolicy: &reclaim, AllowVolumeExpansion: &expand,
	}
}

// ProvisionedName is the name of the volume that is provisioned for a claim.
func ProvisionedName(pvc *corev1.PersistentVolumeClaim) string { return "pvc-" + string(pvc.UID) }

// NewLocal is the volume of a claim on a node.
func NewLocal(pvc *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, node *corev1.Node) *corev1.PersistentVolume {
	name := ProvisionedName(pvc)
	dir := node.Annotations[LocalDirectory]
	if !path.IsAbs(dir) || path.Clean(dir) != dir {
		dir = DefaultLocalDirectory
	}
	hostname := node.Labels[corev1.LabelHostname]
	if hostname == "" {
		hostname = node.Name
	}
	reclaim, mode := corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeFilesystem
	if class.ReclaimPolicy != nil {
		reclaim = *class.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{ProvisionedBy: LocalProvisioner, LocalNode: node.Name, BoundByController: "yes"},
			Finalizers:  []string{core.VolumeProtection, LocalFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: pvc.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   pvc.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: reclaim,
			StorageClassName:              class.Name,
			VolumeMode:                    &mode,
			ClaimRef:                      ReferenceTo(pvc),
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path.Join(dir, name)}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{hostname}}},
			}}}},
		},
	}
}

// LocalNodeOf is the node whose kubelet makes and removes the directory of a volume; "": it is no local volume of Gantry.
func LocalNodeOf(pv *corev1.PersistentVolume) string {
	if pv.Annotations[ProvisionedBy] != LocalProvisioner {
		return ""
	}
	return pv.Annotations[LocalNode]
}

// ReleasedBy tells whether a local volume was released by the deletion of the claim that it is bound to.
func ReleasedBy(pv *corev1.PersistentVolume) bool {
	uid := pv.Annotations[ReleasedByClaim]
	return uid != "" && pv.Spec.ClaimRef != nil && uid == string(pv.Spec.ClaimRef.UID)
}
