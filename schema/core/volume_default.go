package core

import corev1 "k8s.io/api/core/v1"

func defaultVolume(v *corev1.Volume) {
	if v.VolumeSource == (corev1.VolumeSource{}) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
		return
	}
	// A volume has one source; one with several is defaulted in each, as Kubernetes does, and then refused.
	if v.HostPath != nil {
		SetIfNil(&v.HostPath.Type, corev1.HostPathUnset)
	}
	if v.Secret != nil {
		SetIfNil(&v.Secret.DefaultMode, corev1.SecretVolumeSourceDefaultMode)
	}
	if v.ConfigMap != nil {
		SetIfNil(&v.ConfigMap.DefaultMode, corev1.ConfigMapVolumeSourceDefaultMode)
	}
	if v.DownwardAPI != nil {
		SetIfNil(&v.DownwardAPI.DefaultMode, corev1.DownwardAPIVolumeSourceDefaultMode)
		defaultDownwardFiles(v.DownwardAPI.Items)
	}
	if v.Projected != nil {
		SetIfNil(&v.Projected.DefaultMode, corev1.ProjectedVolumeSourceDefaultMode)
		for i := range v.Projected.Sources {
			defaultProjection(&v.Projected.Sources[i])
		}
	}
	if v.Image != nil {
		setIfZero(&v.Image.PullPolicy, pullPolicyOf(v.Image.Reference))
	}
	if v.Ephemeral != nil {
		if t := v.Ephemeral.VolumeClaimTemplate; t != nil {
			defaultClaimSpec(&t.Spec)
		}
	}
	defaultStorage(v)
}

func defaultProjection(p *corev1.VolumeProjection) {
	if p.DownwardAPI != nil {
		defaultDownwardFiles(p.DownwardAPI.Items)
	}
	if p.ServiceAccountToken != nil {
		SetIfNil(&p.ServiceAccountToken.ExpirationSeconds, 3600)
	}
}

func defaultDownwardFiles(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		defaultFieldRef(items[i].FieldRef)
	}
}

// defaultStorage fills the sources that lead to storage systems.
func defaultStorage(v *corev1.Volume) {
	if s := v.ISCSI; s != nil {
		setIfZero(&s.ISCSIInterface, "default")
	}
	if s := v.RBD; s != nil {
		setIfZero(&s.RBDPool, "rbd")
		setIfZero(&s.RadosUser, "admin")
		setIfZero(&s.Keyring, "/etc/ceph/keyring")
	}
	if s := v.AzureDisk; s != nil {
		SetIfNil(&s.CachingMode, corev1.AzureDataDiskCachingReadWrite)
		SetIfNil(&s.FSType, "ext4")
		SetIfNil(&s.ReadOnly, false)
		SetIfNil(&s.Kind, corev1.AzureSharedBlobDisk)
	}
	if s := v.ScaleIO; s != nil {
		setIfZero(&s.StorageMode, "ThinProvisioned")
		setIfZero(&s.FSType, "xfs")
	}
}
