package kubelet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/images"
	"gantry/agents/kubelet/podstate"
	"gantry/agents/kubelet/podstatus"
	"gantry/schema/core"
)

// What events and reasons say of images.
const (
	neverPullMessage  = "Container image %q is not present with pull policy of Never"
	presentMessage    = "Container image %q already present on machine"
	pulledMessage     = "Successfully pulled image %q in %s (%s including waiting). Image size: %d bytes."
	pullFailedMessage = "Failed to pull image %q: %v"
	backOffMessage    = "Back-off pulling image %q: %s: %s"
)

// waitError is why a container cannot start now; it becomes its waiting state.
type waitError struct {
	podstatus.Problem
	// retry is how soon to try again.
	retry time.Duration
}

func (e *waitError) Error() string { return e.Reason + ": " + e.Message }

// wantedImage is an image that a container needs: its own, or that of a volume.
type wantedImage struct {
	name   string
	policy corev1.PullPolicy // "": by its tag
	event  func(kind, reason, format string, args ...any)
}

// ownImage is the container's own image.
func (k *kubelet) ownImage(in *startInput) wantedImage {
	c := in.action.container
	return wantedImage{c.Image, c.ImagePullPolicy, func(kind, reason, format string, args ...any) {
		k.containerEvent(in.pod, c, kind, reason, format, args...)
	}}
}

// ensureVolumeImages makes sure the engine has the images of the volumes that the container mounts.
func (k *kubelet) ensureVolumeImages(ctx context.Context, in *startInput) error {
	for _, m := range in.action.container.VolumeMounts {
		i := slices.IndexFunc(in.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name && v.Image != nil && v.Image.Reference != "" })
		if i < 0 || in.volumeImages[m.Name] != nil {
			continue
		}
		source := in.pod.Spec.Volumes[i].Image
		image, err := k.ensureImage(ctx, in, wantedImage{source.Reference, source.PullPolicy, func(kind, reason, format string, args ...any) {
			k.podEvent(in.pod, kind, reason, format, args...)
		}})
		if err != nil {
			return err
		}
		if in.volumeImages == nil {
			in.volumeImages = map[string]*engine.Image{}
		}
		in.volumeImages[m.Name] = image
	}
	return nil
}

// ensureImage makes sure the engine has an image, as its pull policy says.
func (k *kubelet) ensureImage(ctx context.Context, in *startInput, w wantedImage) (*engine.Image, error) {
	ref, err := images.Parse(w.name)
	if err != nil {
		w.event(corev1.EventTypeWarning, "InspectFailed", "%v", err)
		w.event(corev1.EventTypeWarning, "Failed", "Error: %s", podstatus.WaitInvalidImage)
		return nil, &waitError{podstatus.Problem{Reason: podstatus.WaitInvalidImage, Message: err.Error()}, podstate.MaxBackoff}
	}
	image, err := k.engine.Image(ctx, ref)
	present := err == nil
	if !present && !errors.Is(err, engine.ErrNotFound) {
		return nil, err
	}
	policy := images.PullPolicy(w.policy, ref)
	switch {
	case present && policy != corev1.PullAlways:
		w.event(corev1.EventTypeNormal, "Pulled", presentMessage, w.name)
		return image, nil
	case policy == corev1.PullNever:
		message := fmt.Sprintf(neverPullMessage, w.name)
		w.event(corev1.EventTypeWarning, podstatus.WaitNeverPull, "%s", message)
		w.event(corev1.EventTypeWarning, "Failed", "Error: %s", podstatus.WaitNeverPull)
		return nil, &waitError{podstatus.Problem{Reason: podstatus.WaitNeverPull, Message: message}, startRetry}
	}
	if err := in.untilReady(ctx); err != nil { // a pull is long, and in vain without a sandbox
		return nil, err
	}
	return k.pullImage(ctx, in.pod, w, ref, in.pulls)
}

func (k *kubelet) pullImage(ctx context.Context, pod *corev1.Pod, w wantedImage, ref string, back *images.Backoff) (*engine.Image, error) {
	begin := time.Now()
	w.event(corev1.EventTypeNormal, "Pulling", "Pulling image %q", w.name)
	err := k.images.Pull(ctx, ref, k.pullSecrets(ctx, pod))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var image *engine.Image
	if err == nil {
		if image, err = k.engine.Image(ctx, ref); errors.Is(err, engine.ErrNotFound) {
			err = fmt.Errorf("the engine does not have %s after its pull", ref)
		}
	}
	if err != nil {
		w.event(corev1.EventTypeWarning, "Failed", pullFailedMessage, w.name, err)
		w.event(corev1.EventTypeWarning, "Failed", "Error: %s", podstatus.WaitImagePull)
		return nil, &waitError{podstatus.Problem{Reason: podstatus.WaitImagePull, Message: err.Error(), Image: w.name}, back.Next(ref)}
	}
	back.Reset(ref)
	took := time.Since(begin).Round(time.Millisecond)
	w.event(corev1.EventTypeNormal, "Pulled", pulledMessage, w.name, took, took, image.Size)
	return image, nil
}

// pullSecrets are the pod's imagePullSecrets that can be read; one that can't is no credential.
func (k *kubelet) pullSecrets(ctx context.Context, pod *corev1.Pod) []*corev1.Secret {
	var all []*corev1.Secret
	for _, ref := range pod.Spec.ImagePullSecrets {
		s, ok, err := read[*corev1.Secret](ctx, k.cfg.Gateway, core.Secret, pod.Namespace, ref.Name)
		if err == nil && ok {
			all = append(all, s)
			continue
		}
		k.podEvent(pod, corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret",
			"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", ref.Name)
	}
	return all
}
