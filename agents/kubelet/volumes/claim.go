package volumes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"gantry/schema/volumes"
)

// claimPlugin gives the persistent volume that a claim is bound to, where it is: nothing is mounted. The volume's directory of the pod has
// the record of it alone.
func claimPlugin() Plugin {
	return Plugin{
		Name:  claimPluginName,
		Is:    func(vol *corev1.Volume) bool { return vol.PersistentVolumeClaim != nil || vol.Ephemeral != nil },
		Mount: mountClaim, Unmount: unmountDir, Metrics: claimMetrics,
	}
}

const claimPluginName = "gantry.io/persistent-volume-claim"

// mountClaim asks the API about a claim until its volume was mounted for the pod once. After that the record says where the volume is: a
// container that restarts needs no gateway, and a claim that is being deleted stays usable for the pod that has it.
func mountClaim(ctx context.Context, r Request) (Mounted, error) {
	dir, err := r.MakeDir()
	if err != nil {
		return Mounted{}, err
	}
	if rec, err := readClaimRecord(dir); err == nil && rec.Ready {
		if err := checkSource(rec.source()); err != nil {
			return Mounted{}, failedFor(rec.Volume, rec.source().initialization(), err)
		}
		return rec.mounted(), nil
	}
	b, err := r.boundVolume(ctx)
	if err != nil {
		//lint:ignore ST1005 the pod's Event shows this sentence as kubelets write it
		return Mounted{}, &mountError{fmt.Errorf(
			"Unable to attach or mount volumes: unmounted volumes=[%[1]s], unattached volumes=[], failed to process volumes=[%[1]s]: %[2]w", r.Volume.Name, err)}
	}
	source, err := r.sourceOf(b.volume)
	if err != nil {
		return Mounted{}, err
	}
	rec := claimRecord{Claim: string(b.claim.UID), Volume: b.volume.Name, Kind: source.kind, Path: source.path, HostType: source.hostType, ReadOnly: b.readOnly}
	others, err := r.volumes.recordClaim(dir, string(r.Pod.UID), rec, isForOnePod(b.volume))
	if err != nil {
		return Mounted{}, failedFor(b.volume.Name, "SetUp failed", err)
	}
	if err := r.setUp(ctx, b, source, others); err != nil {
		return Mounted{}, err
	}
	rec.Ready = true
	return rec.mounted(), writeClaimRecord(dir, rec)
}

// setUp makes a volume ready for its pod; others are the pods that have it already.
func (r Request) setUp(ctx context.Context, b boundClaim, source volumeSource, others []string) error {
	name := b.volume.Name
	if volumes.LocalNodeOf(b.volume) != "" {
		if err := r.volumes.cfg.MakeLocal(b.volume); err != nil {
			return failedFor(name, "SetUp failed", err)
		}
	}
	if err := checkSource(source); err != nil {
		return failedFor(name, source.initialization(), err)
	}
	group := fsGroup(r.Pod)
	if source.kind != kindLocal || b.readOnly || group < 0 {
		return nil
	}
	if len(others) > 0 {
		return r.warnOfGroup(name, source.path, group)
	}
	if err := r.ownVolume(ctx, name, source.path, group); err != nil {
		return failedFor(name, "SetUp failed", err)
	}
	return nil
}

// warnOfGroup records that a volume which other pods have already keeps the group that they gave it.
func (r Request) warnOfGroup(name, path string, group int) error {
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil {
		return failedFor(name, "SetUp failed", fmt.Errorf("failed to check fsGroup for %s (%w)", path, err))
	}
	if int(info.Gid) != group {
		r.warn("AlreadyMountedVolume", fmt.Sprintf("The requested fsGroup is %d, but the volume %s has GID %d. The volume may not be shareable.", group, name, info.Gid))
	}
	return nil
}

// warn records an event of the pod.
func (r Request) warn(reason, message string) {
	if r.volumes.cfg.Warn != nil {
		r.volumes.cfg.Warn(r.Pod, reason, message)
	}
}

// mountError has the kubelet's words already.
type mountError struct{ error }

func (e *mountError) Unwrap() error { return e.error }

// failedFor is an error of a persistent volume, in the words of Kubernetes' kubelet.
func failedFor(volume, what string, err error) error {
	step := "MountVolume"
	if strings.HasPrefix(what, "NewBlockVolumeMapper") {
		step = "MapVolume"
	}
	return &mountError{fmt.Errorf("%s.%s for volume %q : %w", step, what, volume, err)}
}

// initialization is what fails where a volume is not where it should be, in the words of Kubernetes' kubelet.
func (s volumeSource) initialization() string {
	if s.kind == kindBlock {
		return "NewBlockVolumeMapper initialization failed"
	}
	return "NewMounter initialization failed"
}

// claimMetrics is the state of the file system that the volume is on.
func claimMetrics(dir string) (Metrics, error) {
	rec, err := readClaimRecord(dir)
	if err != nil {
		return Metrics{}, err
	}
	if rec.Kind == kindBlock {
		return Metrics{}, errors.ErrUnsupported
	}
	return ofFileSystem(rec.Path)
}
