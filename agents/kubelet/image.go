package kubelet

import (
	"context"
	"errors"
	"fmt"
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

// ensureImage makes sure the engine has the container's image, as its pull policy says.
func (k *kubelet) ensureImage(ctx context.Context, in *startInput) (*engine.Image, error) {
	pod, c := in.pod, in.action.container
	ref, err := images.Parse(c.Image)
	if err != nil {
		k.containerEvent(pod, c, corev1.EventTypeWarning, "InspectFailed", "%v", err)
		k.containerEvent(pod, c, corev1.EventTypeWarning, "Failed", "Error: %s", podstatus.WaitInvalidImage)
		return nil, &waitError{podstatus.Problem{Reason: podstatus.WaitInvalidImage, Message: err.Error()}, podstate.MaxBackoff}
	}
	image, err := k.engine.Image(ctx, ref)
	present := err == nil
	if !present && !errors.Is(err, engine.ErrNotFound) {
		return nil, err
	}
	policy := images.PullPolicy(c.Container, ref)
	switch {
	case present && policy != corev1.PullAlways:
		k.containerEvent(pod, c, corev1.EventTypeNormal, "Pulled", presentMessage, c.Image)
		return image, nil
	case policy == corev1.PullNever:
		message := fmt.Sprintf(neverPullMessage, c.Image)
		k.containerEvent(pod, c, corev1.EventTypeWarning, podstatus.WaitNeverPull, "%s", message)
		k.containerEvent(pod, c, corev1.EventTypeWarning, "Failed", "Error: %s", podstatus.WaitNeverPull)
		return nil, &waitError{podstatus.Problem{Reason: podstatus.WaitNeverPull, Message: message}, startRetry}
	}
	if err := in.untilReady(ctx); err != nil { // a pull is long, and in vain without a sandbox
		return nil, err
	}
	return k.pullImage(ctx, pod, c, ref, in.pulls)
}

func (k *kubelet) pullImage(ctx context.Context, pod *corev1.Pod, c podstate.Member, ref string, back *images.Backoff) (*engine.Image, error) {
	begin := time.Now()
	k.containerEvent(pod, c, corev1.EventTypeNormal, "Pulling", "Pulling image %q", c.Image)
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
		k.containerEvent(pod, c, corev1.EventTypeWarning, "Failed", pullFailedMessage, c.Image, err)
		k.containerEvent(pod, c, corev1.EventTypeWarning, "Failed", "Error: %s", podstatus.WaitImagePull)
		return nil, &waitError{podstatus.Problem{Reason: podstatus.WaitImagePull, Message: err.Error()}, back.Next(ref)}
	}
	back.Reset(ref)
	took := time.Since(begin).Round(time.Millisecond)
	k.containerEvent(pod, c, corev1.EventTypeNormal, "Pulled", pulledMessage, c.Image, took, took, image.Size)
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
