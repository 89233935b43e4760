package core

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/check"
)

// checkVolumes checks each volume and collects the valid ones, which mounts refer to.
func (c *podCheck) checkVolumes(list *field.Path) {
	if len(c.spec.Volumes) == 0 {
		return
	}
	c.volumes = make(map[string]*corev1.VolumeSource, len(c.spec.Volumes))
	made := c.claimsMade()
	for i := range c.spec.Volumes {
		v, p := &c.spec.Volumes[i], list.Index(i)
		before := c.Count()
		c.checkSource(v, p)
		c.Named(p, "name", v.Name)
		if c.volumes[v.Name] != nil {
			c.Duplicate(p.Child("name"), v.Name)
		}
		if c.Count() == before {
			c.volumes[v.Name] = &v.VolumeSource
		}
		if pvc := v.PersistentVolumeClaim; pvc != nil && made[pvc.ClaimName] {
			c.Invalid(p.Child("persistentVolumeClaim", "claimName"), pvc.ClaimName, "must not reference a PVC that gets created for an ephemeral volume")
		}
	}
}

const longPortal = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."

// claimsMade are the names of the claims that are created for ephemeral volumes.
func (c *podCheck) claimsMade() map[string]bool {
	made := map[string]bool{}
	if c.meta == nil || c.meta.Name == "" {
		return made
	}
	for i := range c.spec.Volumes {
		if c.spec.Volumes[i].Ephemeral != nil {
			made[c.meta.Name+"-"+c.spec.Volumes[i].Name] = true
		}
	}
	return made
}

// source is a volume source: exactly one is set. check is nil where any value is valid.
type source struct {
	set   bool
	name  string // the JSON name
	check func(*field.Path)
	// at, where not "", is the name Kubernetes gives the field in the errors below it.
	at string
}

func (c *podCheck) checkSource(v *corev1.Volume, p *field.Path) {
	switch v.VolumeSource { // the most usual ones, alone
	case corev1.VolumeSource{EmptyDir: v.EmptyDir}:
		if v.EmptyDir != nil {
			c.checkEmptyDir(v.EmptyDir, p.Child("emptyDir"))
			return
		}
	case corev1.VolumeSource{ConfigMap: v.ConfigMap}:
		c.checkConfigMap(v.ConfigMap, p.Child("configMap"))
		return
	case corev1.VolumeSource{Secret: v.Secret}:
		c.checkSecret(v.Secret, p.Child("secret"))
		return
	case corev1.VolumeSource{Projected: v.Projected}:
		c.checkProjected(v.Projected, p.Child("projected"))
		return
	}
	found := false
	for _, s := range c.sources(v, p) {
		if !s.set {
			continue
		}
		if found {
			c.Forbidden(p.Child(s.name), "may not specify more than 1 volume type")
			continue
		}
		found = true
		at := s.name
		if s.at != "" {
			at = s.at
		}
		s.check(p.Child(at))
	}
	if !found {
		c.Required(p, "must specify a volume type")
	}
	if s := v.ISCSI; s != nil && s.InitiatorName != nil && len(v.Name+":"+s.TargetPortal) > 64 {
		c.Invalid(p.Child("name"), v.Name, longPortal)
	}
}

// misspelledDownwardAPI is the name under which Kubernetes refuses a second source; any other error has the right one.
const misspelledDownwardAPI = "downwarAPI"

// sources lists every source in the order Kubernetes looks for them.
func (c *podCheck) sources(v *corev1.Volume, p *field.Path) []source {
	near := []source{
		{set: v.EmptyDir != nil, name: "emptyDir", check: func(p *field.Path) { c.checkEmptyDir(v.EmptyDir, p) }},
		{set: v.HostPath != nil, name: "hostPath", check: func(p *field.Path) { c.checkHostPath(v.HostPath, p) }},
		{set: v.Secret != nil, name: "secret", check: func(p *field.Path) { c.checkSecret(v.Secret, p) }},
		{set: v.ConfigMap != nil, name: "configMap", check: func(p *field.Path) { c.checkConfigMap(v.ConfigMap, p) }},
		{set: v.DownwardAPI != nil, name: misspelledDownwardAPI, at: "downwardAPI", check: func(p *field.Path) {
			c.checkMode(v.DownwardAPI.DefaultMode, p.Child("defaultMode"))
			for i := range v.DownwardAPI.Items {
				c.checkDownwardFile(&v.DownwardAPI.Items[i], p)
			}
		}},
		{set: v.Projected != nil, name: "projected", check: func(p *field.Path) { c.checkProjected(v.Projected, p) }},
		{set: v.PersistentVolumeClaim != nil, name: "persistentVolumeClaim", check: func(p *field.Path) {
			c.Set(p.Child("claimName"), v.PersistentVolumeClaim.ClaimName)
		}},
		{set: v.Ephemeral != nil, name: "ephemeral", check: func(at *field.Path) { c.checkEphemeralVolume(v, p, at) }},
		{set: v.Image != nil, name: "image", check: func(p *field.Path) {
			if c.isPod() {
				c.Set(p.Child("reference"), v.Image.Reference)
			}
			c.checkPullPolicy(v.Image.PullPolicy, p.Child("pullPolicy"))
		}},
	}
	if storage := c.storageSources(v); slices.ContainsFunc(storage, func(s source) bool { return s.set }) {
		return inOrder(append(near, storage...))
	}
	return near
}

// inOrder sorts sources as Kubernetes looks for them, which decides which of several is the surplus one.
func inOrder(sources []source) []source {
	order := strings.Fields("emptyDir hostPath gitRepo gcePersistentDisk awsElasticBlockStore secret nfs iscsi glusterfs flocker " +
		"persistentVolumeClaim rbd cinder cephFS quobyte " + misspelledDownwardAPI + " fc flexVolume configMap azureFile vsphereVolume " +
		"photonPersistentDisk portworxVolume azureDisk storageos projected scaleIO csi ephemeral image")
	slices.SortFunc(sources, func(a, b source) int { return slices.Index(order, a.name) - slices.Index(order, b.name) })
	return sources
}

func (c *podCheck) checkEmptyDir(s *corev1.EmptyDirVolumeSource, p *field.Path) {
	if s.SizeLimit != nil && s.SizeLimit.Cmp(resource.Quantity{}) < 0 {
		c.Forbidden(p.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")
	}
}

func (c *podCheck) checkSecret(s *corev1.SecretVolumeSource, p *field.Path) {
	c.Set(p.Child("secretName"), s.SecretName)
	c.checkMode(s.DefaultMode, p.Child("defaultMode"))
	c.checkItems(s.Items, p.Child("items"))
}

func (c *podCheck) checkConfigMap(s *corev1.ConfigMapVolumeSource, p *field.Path) {
	c.Set(p.Child("name"), s.Name)
	c.checkMode(s.DefaultMode, p.Child("defaultMode"))
	c.checkItems(s.Items, p.Child("items"))
}

func (c *podCheck) checkHostPath(s *corev1.HostPathVolumeSource, p *field.Path) {
	if !c.Set(p.Child("path"), s.Path) {
		return
	}
	c.checkNoBacksteps(s.Path, p.Child("path"))
	if s.Type != nil {
		check.OneOf(&c.Errors, p.Child("type"), *s.Type, corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev,
			corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate, corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket)
	}
}

func (c *podCheck) checkEphemeralVolume(v *corev1.Volume, p, at *field.Path) {
	t := v.Ephemeral.VolumeClaimTemplate
	if t == nil {
		c.Required(at.Child("volumeClaimTemplate"), "")
	} else {
		c.checkClaimTemplate(t, at.Child("volumeClaimTemplate"))
	}
	if c.meta != nil && c.meta.Name != "" && v.Name != "" {
		claim := c.meta.Name + "-" + v.Name
		for _, m := range subdomainErrors(claim) {
			c.Invalid(p.Child("name"), v.Name, fmt.Sprintf("PVC name %q: %v", claim, m))
		}
	}
}

func (c *podCheck) checkMode(mode *int32, p *field.Path) {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		c.Invalid(p, *mode, "must be a number between 0 and 0777 (octal), both inclusive")
	}
}

func (c *podCheck) checkItems(items []corev1.KeyToPath, list *field.Path) {
	for i := range items {
		c.checkItem(&items[i], list.Index(i))
	}
}

func (c *podCheck) checkItem(item *corev1.KeyToPath, p *field.Path) {
	c.Set(p.Child("key"), item.Key)
	c.Set(p.Child("path"), item.Path)
	c.checkFilePath(item.Path, p.Child("path"))
	c.checkMode(item.Mode, p.Child("mode"))
}

// checkFilePath checks the path of a file in a volume that the kubelet writes: below the volume, and not a name that
// the kubelet needs for itself.
func (c *podCheck) checkFilePath(file string, p *field.Path) {
	c.checkBelow(file, p)
	if strings.HasPrefix(file, "..") && !strings.HasPrefix(file, "../") {
		c.Invalid(p, file, "must not start with '..'")
	}
}

func (c *podCheck) checkBelow(file string, p *field.Path) {
	if path.IsAbs(file) {
		c.Invalid(p, file, "must be a relative path")
	}
	c.checkNoBacksteps(file, p)
}

func (c *podCheck) checkNoBacksteps(file string, p *field.Path) {
	if hasBackstep(file) {
		c.Invalid(p, file, "must not contain '..'")
	}
}

func hasBackstep(file string) bool {
	return strings.Contains(file, "..") && slices.Contains(strings.Split(file, "/"), "..")
}

func (c *podCheck) checkDownwardFile(f *corev1.DownwardAPIVolumeFile, p *field.Path) {
	c.Set(p.Child("path"), f.Path)
	c.checkFilePath(f.Path, p.Child("path"))
	switch {
	case f.FieldRef != nil:
		c.checkFieldRef(f.FieldRef, volumeFields, p.Child("fieldRef"))
		if f.ResourceFieldRef != nil {
			c.Invalid(p, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
		}
	case f.ResourceFieldRef != nil:
		c.checkResourceRef(f.ResourceFieldRef, p.Child("resourceFieldRef"), true)
	default:
		c.Required(p, "one of fieldRef and resourceFieldRef is required")
	}
	c.checkMode(f.Mode, p.Child("mode"))
}

// checkProjected checks that each source is one thing, and that no two write one file.
func (c *podCheck) checkProjected(s *corev1.ProjectedVolumeSource, p *field.Path) {
	c.checkMode(s.DefaultMode, p.Child("defaultMode"))
	files := map[string]bool{}
	take := func(file string, owner any) {
		if file != "" && files[file] {
			c.Invalid(p, owner, "conflicting duplicate paths")
		}
		files[file] = true
	}
	for i := range s.Sources {
		src, at, kinds := &s.Sources[i], p.Child("sources").Index(i), 0
		if x := src.Secret; x != nil {
			kinds++
			c.checkProjectedKeys(x.Name, x.Items, at.Child("secret"), take)
		}
		if x := src.ConfigMap; x != nil {
			kinds++
			c.checkProjectedKeys(x.Name, x.Items, at.Child("configMap"), take)
		}
		if x := src.DownwardAPI; x != nil {
			kinds++
			for j := range x.Items {
				c.checkDownwardFile(&x.Items[j], at.Child("downwardAPI"))
				take(x.Items[j].Path, x.Items[j].Path)
			}
		}
		if x := src.ServiceAccountToken; x != nil {
			kinds++
			c.checkTokenSource(x, p, at.Child("serviceAccountToken"))
		}
		if src.ClusterTrustBundle != nil {
			kinds++
		}
		if src.PodCertificate != nil {
			kinds++
		}
		if kinds > 1 {
			c.Forbidden(at, "may not specify more than 1 volume type per source")
		}
	}
}

func (c *podCheck) checkProjectedKeys(name string, items []corev1.KeyToPath, p *field.Path, take func(string, any)) {
	c.Set(p.Child("name"), name)
	for i := range items {
		c.checkItem(&items[i], p.Child("items").Index(i))
		take(items[i].Path, name)
	}
}

func (c *podCheck) checkTokenSource(s *corev1.ServiceAccountTokenProjection, volume, p *field.Path) {
	var seconds int64
	if s.ExpirationSeconds != nil {
		seconds = *s.ExpirationSeconds
	}
	if seconds < 10*60 {
		c.Invalid(p.Child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes")
	}
	if seconds > 1<<32 {
		c.Invalid(p.Child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds")
	}
	if c.Set(volume.Child("path"), s.Path) {
		c.checkFilePath(s.Path, volume.Child("path"))
	}
}
