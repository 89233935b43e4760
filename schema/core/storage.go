package core

import (
	"net"
	"path"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// storageSources are the volume sources that lead to a storage system. Gantry mounts none of them, but validates
// them as Kubernetes does.
func (c *podCheck) storageSources(v *corev1.Volume) []source {
	return []source{
		{set: v.GitRepo != nil, name: "gitRepo", check: func(p *field.Path) {
			c.Set(p.Child("repository"), v.GitRepo.Repository)
			c.checkBelow(v.GitRepo.Directory, p.Child("directory"))
		}},
		{set: v.GCEPersistentDisk != nil, name: "gcePersistentDisk", at: "persistentDisk", check: func(p *field.Path) {
			c.Set(p.Child("pdName"), v.GCEPersistentDisk.PDName)
			c.checkPartition(v.GCEPersistentDisk.Partition, p)
		}},
		{set: v.AWSElasticBlockStore != nil, name: "awsElasticBlockStore", check: func(p *field.Path) {
			c.Set(p.Child("volumeID"), v.AWSElasticBlockStore.VolumeID)
			c.checkPartition(v.AWSElasticBlockStore.Partition, p)
		}},
		{set: v.NFS != nil, name: "nfs", check: func(p *field.Path) {
			c.Set(p.Child("server"), v.NFS.Server)
			c.Set(p.Child("path"), v.NFS.Path)
			if !path.IsAbs(v.NFS.Path) {
				c.Invalid(p.Child("path"), v.NFS.Path, "must be an absolute path")
			}
		}},
		{set: v.ISCSI != nil, name: "iscsi", check: func(p *field.Path) { c.checkISCSI(v.ISCSI, p) }},
		{set: v.Glusterfs != nil, name: "glusterfs", check: func(p *field.Path) {
			c.Set(p.Child("endpoints"), v.Glusterfs.EndpointsName)
			c.Set(p.Child("path"), v.Glusterfs.Path)
		}},
		{set: v.Flocker != nil, name: "flocker", check: func(p *field.Path) { c.checkFlocker(v.Flocker, p) }},
		{set: v.RBD != nil, name: "rbd", check: func(p *field.Path) {
			c.checkMonitors(v.RBD.CephMonitors, p)
			c.Set(p.Child("image"), v.RBD.RBDImage)
		}},
		{set: v.Cinder != nil, name: "cinder", check: func(p *field.Path) {
			c.Set(p.Child("volumeID"), v.Cinder.VolumeID)
			c.checkSecretRef(v.Cinder.SecretRef, p)
		}},
		{set: v.CephFS != nil, name: "cephFS", at: "cephfs", check: func(p *field.Path) { c.checkMonitors(v.CephFS.Monitors, p) }},
		{set: v.Quobyte != nil, name: "quobyte", check: func(p *field.Path) { c.checkQuobyte(v.Quobyte, p) }},
		{set: v.FC != nil, name: "fc", check: func(p *field.Path) { c.checkFC(v.FC, p) }},
		{set: v.FlexVolume != nil, name: "flexVolume", check: func(p *field.Path) { c.checkFlex(v.FlexVolume, p) }},
		{set: v.AzureFile != nil, name: "azureFile", check: func(p *field.Path) {
			c.Set(p.Child("secretName"), v.AzureFile.SecretName)
			c.Set(p.Child("shareName"), v.AzureFile.ShareName)
		}},
		{set: v.VsphereVolume != nil, name: "vsphereVolume", check: func(p *field.Path) { c.Set(p.Child("volumePath"), v.VsphereVolume.VolumePath) }},
		{set: v.PhotonPersistentDisk != nil, name: "photonPersistentDisk", check: func(p *field.Path) { c.Set(p.Child("pdID"), v.PhotonPersistentDisk.PdID) }},
		{set: v.PortworxVolume != nil, name: "portworxVolume", check: func(p *field.Path) { c.Set(p.Child("volumeID"), v.PortworxVolume.VolumeID) }},
		{set: v.AzureDisk != nil, name: "azureDisk", check: func(p *field.Path) { c.checkAzureDisk(v.AzureDisk, p) }},
		{set: v.StorageOS != nil, name: "storageos", check: func(p *field.Path) { c.checkStorageOS(v.StorageOS, p) }},
		{set: v.ScaleIO != nil, name: "scaleIO", check: func(p *field.Path) {
			c.Set(p.Child("gateway"), v.ScaleIO.Gateway)
			c.Set(p.Child("system"), v.ScaleIO.System)
			c.Set(p.Child("volumeName"), v.ScaleIO.VolumeName)
		}},
		{set: v.CSI != nil, name: "csi", check: func(p *field.Path) { c.checkCSI(v.CSI, p) }},
	}
}

func (c *podCheck) checkPartition(n int32, p *field.Path) {
	if n < 0 || n > 255 {
		c.Invalid(p.Child("partition"), n, validation.InclusiveRangeError(1, 255))
	}
}

func (c *podCheck) checkMonitors(list []string, p *field.Path) {
	if len(list) == 0 {
		c.Required(p.Child("monitors"), "")
	}
}

func (c *podCheck) checkSecretRef(ref *corev1.LocalObjectReference, p *field.Path) {
	if ref != nil {
		c.Set(p.Child("secretRef", "name"), ref.Name)
	}
}

var iscsiNames = map[string]*regexp.Regexp{
	"iqn": regexp.MustCompile(`iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`),
	"eui": regexp.MustCompile(`^eui.[[:alnum:]]{16}$`),
	"naa": regexp.MustCompile(`^naa.[[:alnum:]]{32}$`),
}

func (c *podCheck) checkISCSI(s *corev1.ISCSIVolumeSource, p *field.Path) {
	c.Set(p.Child("targetPortal"), s.TargetPortal)
	if c.Set(p.Child("iqn"), s.IQN) {
		c.checkISCSIName(s.IQN, p.Child("iqn"))
	}
	c.Range(p.Child("lun"), int64(s.Lun), 0, 255)
	if (s.DiscoveryCHAPAuth || s.SessionCHAPAuth) && s.SecretRef == nil {
		c.Required(p.Child("secretRef"), "")
	}
	if s.InitiatorName != nil {
		c.checkISCSIName(*s.InitiatorName, p.Child("initiatorname"))
	}
}

func (c *podCheck) checkISCSIName(name string, p *field.Path) {
	format := iscsiNames[name[:min(3, len(name))]]
	if format == nil {
		c.Invalid(p, name, "must be valid format starting with iqn, eui, or naa")
	} else if !format.MatchString(name) {
		c.Invalid(p, name, "must be valid format")
	}
}

func (c *podCheck) checkFlocker(s *corev1.FlockerVolumeSource, p *field.Path) {
	if s.DatasetName == "" && s.DatasetUUID == "" {
		c.Required(p, "one of datasetName and datasetUUID is required")
	}
	if s.DatasetName != "" && s.DatasetUUID != "" {
		c.Invalid(p, "resource", "datasetName and datasetUUID can not be specified simultaneously")
	}
	if strings.Contains(s.DatasetName, "/") {
		c.Invalid(p.Child("datasetName"), s.DatasetName, "must not contain '/'")
	}
}

func (c *podCheck) checkQuobyte(s *corev1.QuobyteVolumeSource, p *field.Path) {
	const pairs = "must be a host:port pair or multiple pairs separated by commas"
	switch {
	case s.Registry == "":
		c.Required(p.Child("registry"), pairs)
	case len(s.Tenant) > 64:
		c.Required(p.Child("tenant"), "must be a UUID and may not exceed a length of 64 characters")
	default:
		for _, pair := range strings.Split(s.Registry, ",") {
			if _, _, err := net.SplitHostPort(pair); err != nil {
				c.Invalid(p.Child("registry"), s.Registry, pairs)
			}
		}
	}
	c.Set(p.Child("volume"), s.Volume)
}

func (c *podCheck) checkFC(s *corev1.FCVolumeSource, p *field.Path) {
	names, ids := len(s.TargetWWNs) > 0, len(s.WWIDs) > 0
	if !names && !ids {
		c.Required(p.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")
	}
	if names && ids {
		c.Invalid(p.Child("targetWWNs"), s.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously")
	}
	if names && s.Lun == nil {
		c.Required(p.Child("lun"), "lun is required if targetWWNs is specified")
	} else if names {
		c.Range(p.Child("lun"), int64(*s.Lun), 0, 255)
	}
}

func (c *podCheck) checkFlex(s *corev1.FlexVolumeSource, p *field.Path) {
	c.Set(p.Child("driver"), s.Driver)
	for key := range s.Options {
		domain, _, _ := strings.Cut(key, "/")
		domain = "." + strings.ToLower(domain)
		if strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io") {
			c.Invalid(p.Child("options").Key(key), key, "kubernetes.io and k8s.io namespaces are reserved")
		}
	}
}

func (c *podCheck) checkAzureDisk(s *corev1.AzureDiskVolumeSource, p *field.Path) {
	c.Set(p.Child("diskName"), s.DiskName)
	c.Set(p.Child("diskURI"), s.DataDiskURI)
	if s.CachingMode != nil {
		check.OneOf(&c.Errors, p.Child("cachingMode"), *s.CachingMode, corev1.AzureDataDiskCachingNone, corev1.AzureDataDiskCachingReadOnly, corev1.AzureDataDiskCachingReadWrite)
	}
	if s.Kind == nil {
		return
	}
	check.OneOf(&c.Errors, p.Child("kind"), *s.Kind, corev1.AzureDedicatedBlobDisk, corev1.AzureManagedDisk, corev1.AzureSharedBlobDisk)
	prefix, form := "https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
	if *s.Kind == corev1.AzureManagedDisk {
		prefix, form = "/subscriptions/", "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
	}
	if !strings.HasPrefix(s.DataDiskURI, prefix) {
		c.Add(field.NotSupported(p.Child("diskURI"), s.DataDiskURI, []string{form}))
	}
}

func (c *podCheck) checkStorageOS(s *corev1.StorageOSVolumeSource, p *field.Path) {
	if c.Set(p.Child("volumeName"), s.VolumeName) {
		c.Label(p.Child("volumeName"), s.VolumeName)
	}
	if s.VolumeNamespace != "" {
		c.Label(p.Child("volumeNamespace"), s.VolumeNamespace)
	}
	c.checkSecretRef(s.SecretRef, p)
}

func (c *podCheck) checkCSI(s *corev1.CSIVolumeSource, p *field.Path) {
	CheckDriverName(&c.Errors, s.Driver, p.Child("driver"))
	if ref := s.NodePublishSecretRef; ref != nil && c.Set(p.Child("nodePublishSecretRef", "name"), ref.Name) {
		c.Subdomain(p.Child("name"), ref.Name)
	}
}

func subdomainErrors(name string) []string { return validation.IsDNS1123Subdomain(name) }
