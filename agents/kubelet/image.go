package kubelet

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/registry/safely"
)

// Reasons of a container that waits for its image.
const (
	waitInvalidImage   = "InvalidImageName"
	waitNeverPull      = "ErrImageNeverPull"
	waitImagePull      = "ErrImagePull"
	waitImageBackOff   = "ImagePullBackOff"
	waitImageInspect   = "ImageInspectError"
	neverPullMessage   = "Container image %q is not present with pull policy of Never"
	presentMessage     = "Container image %q already present on machine"
	pulledMessage      = "Successfully pulled image %q in %s (%s including waiting). Image size: %d bytes."
	pullFailedMessage  = "Failed to pull image %q: %v"
	backOffMessage     = "Back-off pulling image %q: %s: %s"
	invalidNameMessage = "Failed to apply default image tag %q: couldn't parse image name %q: %v"
)

// waitError is why a container cannot start now; it becomes its waiting state.
type waitError struct {
	problem
	// retry is how soon to try again.
	retry time.Duration
}

func (e *waitError) Error() string { return e.reason + ": " + e.message }

// images pulls the engine's images: one pull per image at a time, however many pods ask.
type images struct {
	engine engine.Engine
	mu     sync.Mutex // guards pulls
	pulls  map[string]*pull
}

// pull is one pull under way; done is closed at its end, then err says how it went.
type pull struct {
	done    chan struct{}
	waiting int
	cancel  context.CancelFunc
	err     error
}

// parseImage completes an image's name with its tag.
func parseImage(name string) (ref string, err error) {
	if ref, err = engine.ParseImage(name); err != nil {
		//lint:ignore ST1005 the pod's status shows this sentence as kubelets write it
		return "", fmt.Errorf(invalidNameMessage, name, name, err)
	}
	return ref, nil
}

// pullPolicy is the container's, or by its tag where it has none.
func pullPolicy(c *corev1.Container, ref string) corev1.PullPolicy {
	switch {
	case c.ImagePullPolicy != "":
		return c.ImagePullPolicy
	case strings.HasSuffix(ref, ":latest"):
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// fetch pulls an image, joining a pull of it that is under way. With ctx done it returns at once; a pull that
// nobody waits for any more is ended.
func (i *images) fetch(ctx context.Context, ref string, secrets []*corev1.Secret) error {
	i.mu.Lock()
	p := i.pulls[ref]
	if p == nil {
		pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		p = &pull{done: make(chan struct{}), cancel: cancel}
		if i.pulls == nil {
			i.pulls = map[string]*pull{}
		}
		i.pulls[ref] = p
		go func() { // ends when its last waiter has left or the engine is done
			p.err = safely.Call(func() error { return i.engine.Pull(pctx, ref, secrets) })
			i.mu.Lock()
			delete(i.pulls, ref)
			i.mu.Unlock()
			cancel()
			close(p.done)
		}()
	}
	p.waiting++
	i.mu.Unlock()
	defer func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if p.waiting--; p.waiting == 0 {
			p.cancel()
		}
	}()
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
