package core

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// volumeCheck is one validation of a volume's spec, alone or inside of another object.
type volumeCheck struct {
	podCheck
	spec *corev1.PersistentVolumeSpec
	name string // of the volume
	// inline: it is inside of another object, which allows CSI alone and little besides.
	inline bool
	// anyValue allows label values that are none in the node affinity: the volume that is replaced has some.
	anyValue bool
}

// validatePersistentVolume checks that
//   - there are access modes, and ReadWriteOncePod is alone;
//   - the capacity is storage alone, and more than nothing;
//   - the reclaim policy and the volume mode are known;
//   - the node affinity, which a local volume needs, is valid;
//   - there is one source, and it is valid;
//   - classes are named validly, and a class of attributes is that of a CSI volume.
func validatePersistentVolume(pv *corev1.PersistentVolume) field.ErrorList {
	c := volumeCheck{spec: &pv.Spec, name: pv.Name}
	c.checkVolume(pv)
	return c.List
}

// ValidateInlineVolume returns every error of the spec of a volume that is inside of another object.
func ValidateInlineVolume(spec *corev1.PersistentVolumeSpec, p *field.Path) field.ErrorList {
	c := volumeCheck{spec: spec, inline: true}
	c.check(p)
	return c.List
}

// validatePersistentVolumeUpdate checks that the source, the mode and the nodes stay. A secret for expansion may be set once.
func validatePersistentVolumeUpdate(pv, old *corev1.PersistentVolume) field.ErrorList {
	c := volumeCheck{spec: &pv.Spec, name: pv.Name, anyValue: hasInvalidValue(old.Spec.NodeAffinity)}
	c.checkVolume(pv)
	c.check(specPath) // again, as Kubernetes does it
	is, was := pv.Spec.PersistentVolumeSource, old.Spec.PersistentVolumeSource
	if is.CSI != nil && was.CSI != nil && was.CSI.ControllerExpandSecretRef == nil && is.CSI.ControllerExpandSecretRef != nil {
		without := *is.CSI
		without.ControllerExpandSecretRef = nil
		is.CSI = &without
	}
	if !equality.Semantic.DeepEqual(is, was) {
		c.Forbidden(specPath.Child("persistentvolumesource"), fmt.Sprintf("spec.persistentvolumesource is immutable after creation\n%v", difference(check.Quoted(was), check.Quoted(is))))
	}
	c.Same(field.NewPath("volumeMode"), pv.Spec.VolumeMode, old.Spec.VolumeMode)
	if old.Spec.NodeAffinity != nil && !sameNodes(pv.Spec.NodeAffinity, old.Spec.NodeAffinity) {
		c.Invalid(field.NewPath("nodeAffinity"), check.Quoted(pv.Spec.NodeAffinity), "field is immutable, except for updating from beta label to GA")
	}
	if old.Spec.VolumeAttributesClassName != nil && pv.Spec.VolumeAttributesClassName == nil {
		c.Forbidden(specPath.Child("volumeAttributesClassName"), "update from non-nil value to nil is forbidden")
	}
	return c.List
}

// checkVolume checks the spec and that mount options are of a source that has them.
func (c *volumeCheck) checkVolume(pv *corev1.PersistentVolume) {
	c.check(specPath)
	s := &pv.Spec
	mounted := s.GCEPersistentDisk != nil || s.AWSElasticBlockStore != nil || s.Glusterfs != nil || s.NFS != nil || s.RBD != nil || s.Quobyte != nil || s.ISCSI != nil ||
		s.Cinder != nil || s.CephFS != nil || s.AzureFile != nil || s.VsphereVolume != nil || s.AzureDisk != nil || s.PhotonPersistentDisk != nil
	if _, there := pv.Annotations[corev1.MountOptionAnnotation]; there && !mounted {
		c.Forbidden(field.NewPath("metadata", "annotations", corev1.MountOptionAnnotation), "may not specify mount options for this volume type")
	}
}

const inlineOnly = "in the context of inline volumes"

func (c *volumeCheck) check(p *field.Path) {
	s := c.spec
	if c.inline {
		c.checkInline(p)
	}
	modes := p.Child("accessModes")
	if len(s.AccessModes) == 0 {
		c.Required(modes, "")
	}
	checkAccessModes(&c.Errors, s.AccessModes, modes)
	if !c.inline {
		c.checkCapacity(p.Child("capacity"))
	}
	c.checkReclaim(p.Child("persistentVolumeReclaimPolicy"))
	c.checkNodes(p.Child("nodeAffinity"))
	c.checkSources(p)
	if s.HostPath != nil && path.Clean(s.HostPath.Path) == "/" && s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		c.Forbidden(p.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'")
	}
	if class := p.Child("storageClassName"); s.StorageClassName != "" && c.inline {
		c.Forbidden(class, "may not be specified "+inlineOnly)
	} else if s.StorageClassName != "" {
		c.Subdomain(class, s.StorageClassName)
	}
	if mode := p.Child("volumeMode"); s.VolumeMode != nil && !c.inline {
		check.OneOf(&c.Errors, mode, *s.VolumeMode, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)
	} else if s.VolumeMode != nil && *s.VolumeMode != corev1.PersistentVolumeFilesystem {
		c.Forbidden(mode, "may not specify volumeMode other than Filesystem "+inlineOnly)
	}
	if name := s.VolumeAttributesClassName; name != nil && !c.inline {
		c.checkAttributesClass(*name, p)
	}
}

func (c *volumeCheck) checkInline(p *field.Path) {
	if c.spec.ClaimRef != nil {
		c.Forbidden(p.Child("claimRef"), "may not be specified "+inlineOnly)
	}
	if len(c.spec.Capacity) > 0 {
		c.Forbidden(p.Child("capacity"), "may not be specified "+inlineOnly)
	}
	if c.spec.CSI == nil {
		c.Required(p.Child("csi"), "has to be specified "+inlineOnly)
	}
}

func (c *volumeCheck) checkCapacity(p *field.Path) {
	list := c.spec.Capacity
	if len(list) == 0 {
		c.Required(p, "")
	}
	if _, there := list[corev1.ResourceStorage]; !there || len(list) > 1 {
		c.Add(field.NotSupported(p, list, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for _, name := range sortedNames(list) {
		checkBasic(&c.Errors, list[name], p.Key(string(name)))
		checkPositive(&c.Errors, list[name], p.Key(string(name)))
	}
}

func (c *volumeCheck) checkReclaim(p *field.Path) {
	const retain = corev1.PersistentVolumeReclaimRetain
	switch policy := c.spec.PersistentVolumeReclaimPolicy; {
	case policy == "":
	case !c.inline:
		check.OneOf(&c.Errors, p, policy, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, retain)
	case policy != retain:
		c.Forbidden(p, "may only be Retain "+inlineOnly)
	}
}

func (c *volumeCheck) checkNodes(p *field.Path) {
	switch a := c.spec.NodeAffinity; {
	case a == nil:
	case c.inline:
		c.Forbidden(p, "may not be specified "+inlineOnly)
	case a.Required == nil:
		c.Required(p.Child("required"), "must specify required node constraints")
	default:
		c.checkNodeSelector(a.Required, p.Child("required", "nodeSelectorTerms"), !c.anyValue)
	}
}

func (c *volumeCheck) checkAttributesClass(name string, p *field.Path) {
	if class := p.Child("volumeAttributesClassName"); name == "" {
		c.Required(class, "an empty string is disallowed")
	} else {
		c.Subdomain(class, name)
	}
	if c.spec.CSI == nil {
		c.Required(p.Child("csi"), "has to be specified when using volumeAttributesClassName")
	}
}
