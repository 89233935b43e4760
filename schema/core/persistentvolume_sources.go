package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// checkSources checks that the volume has one source, and that it is valid.
func (c *volumeCheck) checkSources(p *field.Path) {
	found := false
	for _, s := range c.volumeSources() {
		if !s.set {
			continue
		}
		if found && s.name != "flexVolume" { // of which Kubernetes does not ask whether it is the second
			c.Forbidden(p.Child(s.name), "may not specify more than 1 volume type")
			continue
		}
		found = true
		at := s.name
		if s.at != "" {
			at = s.at
		}
		s.check(p.Child(at))
		if s.name == "local" && (c.spec.NodeAffinity == nil || c.inline) {
			c.Required(p.Child("nodeAffinity"), "Local volume requires node affinity")
		}
	}
	if !found {
		c.Required(p, "must specify a volume type")
	}
}

// volumeSources lists every source in the order Kubernetes looks for them. Those that pods have as well are checked as theirs.
func (c *volumeCheck) volumeSources() []source {
	order := strings.Fields("hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd quobyte cephFS iscsi cinder fc flexVolume azureFile " +
		"vsphereVolume photonPersistentDisk portworxVolume azureDisk scaleIO local storageos csi")
	s := &c.spec.PersistentVolumeSource
	all := []source{
		{set: s.HostPath != nil, name: "hostPath", check: func(p *field.Path) { c.checkHostPath(s.HostPath, p) }},
		{set: s.Local != nil, name: "local", check: func(p *field.Path) {
			if c.Set(p.Child("path"), s.Local.Path) {
				c.checkNoBacksteps(s.Local.Path, p.Child("path"))
			}
		}},
		{set: s.ISCSI != nil, name: "iscsi", check: func(p *field.Path) { c.checkISCSIVolume(s.ISCSI, p) }},
		{set: s.CSI != nil, name: "csi", check: func(p *field.Path) { c.checkCSIVolume(s.CSI, p) }},
	}
	for _, pods := range c.storageSources(&corev1.Volume{VolumeSource: asPodSource(s)}) {
		if pods.set {
			all = append(all, c.withNamespaces(pods))
		}
	}
	slices.SortFunc(all, func(a, b source) int { return slices.Index(order, a.name) - slices.Index(order, b.name) })
	return all
}

// asPodSource is what of a source pods have as well, save for iSCSI and CSI.
func asPodSource(s *corev1.PersistentVolumeSource) corev1.VolumeSource {
	v := corev1.VolumeSource{
		GCEPersistentDisk: s.GCEPersistentDisk, AWSElasticBlockStore: s.AWSElasticBlockStore, NFS: s.NFS, FC: s.FC, Flocker: s.Flocker, Quobyte: s.Quobyte,
		VsphereVolume: s.VsphereVolume, AzureDisk: s.AzureDisk, PhotonPersistentDisk: s.PhotonPersistentDisk, PortworxVolume: s.PortworxVolume,
	}
	if g := s.Glusterfs; g != nil {
		v.Glusterfs = &corev1.GlusterfsVolumeSource{EndpointsName: g.EndpointsName, Path: g.Path}
	}
	if r := s.RBD; r != nil {
		v.RBD = &corev1.RBDVolumeSource{CephMonitors: r.CephMonitors, RBDImage: r.RBDImage}
	}
	if f := s.CephFS; f != nil {
		v.CephFS = &corev1.CephFSVolumeSource{Monitors: f.Monitors}
	}
	if d := s.Cinder; d != nil {
		v.Cinder = &corev1.CinderVolumeSource{VolumeID: d.VolumeID, SecretRef: localRef(d.SecretRef != nil, func() string { return d.SecretRef.Name })}
	}
	if f := s.FlexVolume; f != nil {
		v.FlexVolume = &corev1.FlexVolumeSource{Driver: f.Driver, Options: f.Options}
	}
	if f := s.AzureFile; f != nil {
		v.AzureFile = &corev1.AzureFileVolumeSource{SecretName: f.SecretName, ShareName: f.ShareName}
	}
	if io := s.ScaleIO; io != nil {
		v.ScaleIO = &corev1.ScaleIOVolumeSource{Gateway: io.Gateway, System: io.System, VolumeName: io.VolumeName}
	}
	if o := s.StorageOS; o != nil {
		v.StorageOS = &corev1.StorageOSVolumeSource{VolumeName: o.VolumeName, VolumeNamespace: o.VolumeNamespace, SecretRef: localRef(o.SecretRef != nil, func() string { return o.SecretRef.Name })}
	}
	return v
}

func localRef(set bool, name func() string) *corev1.LocalObjectReference {
	if !set {
		return nil
	}
	return &corev1.LocalObjectReference{Name: name()}
}

// withNamespaces is a source of pods with the checks of the namespaces that a volume names for itself: it has none of its own.
func (c *volumeCheck) withNamespaces(pods source) source {
	s, first := &c.spec.PersistentVolumeSource, pods.check
	pods.check = func(p *field.Path) {
		first(p)
		switch pods.name {
		case "glusterfs":
			if ns, at := s.Glusterfs.EndpointsNamespace, p.Child("endpointsNamespace"); ns != nil && *ns == "" {
				c.Invalid(at, *ns, "if the endpointnamespace is set, it must be a valid namespace name")
			} else if ns != nil {
				c.Label(at, *ns)
			}
		case "cinder":
			if ref := s.Cinder.SecretRef; ref != nil {
				c.Set(p.Child("secretRef", "namespace"), ref.Namespace)
			}
		case "azureFile":
			if ns := s.AzureFile.SecretNamespace; ns != nil {
				c.Set(p.Child("secretNamespace"), *ns)
			}
		case "storageos":
			if ref := s.StorageOS.SecretRef; ref != nil {
				c.Set(p.Child("secretRef", "namespace"), ref.Namespace)
			}
		}
	}
	return pods
}

func (c *volumeCheck) checkISCSIVolume(s *corev1.ISCSIPersistentVolumeSource, p *field.Path) {
	c.Set(p.Child("targetPortal"), s.TargetPortal)
	if s.InitiatorName != nil && len(c.name+":"+s.TargetPortal) > 64 {
		c.Invalid(p.Child("targetportal"), s.TargetPortal, longPortal)
	}
	if c.Set(p.Child("iqn"), s.IQN) {
		c.checkISCSIFormat(s.IQN, p.Child("iqn"))
	}
	c.Range(p.Child("lun"), int64(s.Lun), 0, 255)
	if (s.DiscoveryCHAPAuth || s.SessionCHAPAuth) && s.SecretRef == nil {
		c.Required(p.Child("secretRef"), "")
	}
	if s.SecretRef != nil {
		c.Set(p.Child("secretRef", "name"), s.SecretRef.Name)
	}
	if s.InitiatorName != nil {
		c.checkISCSIFormat(*s.InitiatorName, p.Child("initiatorname"))
	}
}

func (c *volumeCheck) checkISCSIFormat(name string, p *field.Path) {
	if format := iscsiNames[name[:min(3, len(name))]]; format == nil || !format.MatchString(name) {
		c.Invalid(p, name, "must be valid format")
	}
}

func (c *volumeCheck) checkCSIVolume(s *corev1.CSIPersistentVolumeSource, p *field.Path) {
	CheckDriverName(&c.Errors, s.Driver, p.Child("driver"))
	c.Set(p.Child("volumeHandle"), s.VolumeHandle)
	c.checkSecretIn(s.ControllerPublishSecretRef, p.Child("controllerPublishSecretRef"))
	c.checkSecretIn(s.ControllerExpandSecretRef, p.Child("controllerExpandSecretRef"))
	c.checkSecretIn(s.NodePublishSecretRef, p.Child("nodePublishSecretRef"))
	c.checkSecretIn(s.NodeExpandSecretRef, p.Child("nodeExpandSecretRef"))
}

func (c *volumeCheck) checkSecretIn(ref *corev1.SecretReference, p *field.Path) {
	if ref == nil {
		return
	}
	if c.Set(p.Child("name"), ref.Name) {
		c.Subdomain(p.Child("name"), ref.Name)
	}
	if c.Set(p.Child("namespace"), ref.Namespace) {
		c.Label(p.Child("namespace"), ref.Namespace)
	}
}

// CheckDriverName requires the name of a CSI driver: a subdomain of 63 bytes at most, in any case.
func CheckDriverName(f *check.Errors, name string, p *field.Path) {
	if !f.Set(p, name) {
		return
	}
	const longest = 63
	if len(name) > longest {
		f.Add(field.TooLong(p, "", longest))
	}
	f.Each(p, name, subdomainErrors(strings.ToLower(name)))
}
