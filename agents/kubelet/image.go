package kubelet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	corev1 "k8s.io/api/core/v1"

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

// images knows the engine's images and pulls missing ones: one pull per image at a time, however many pods ask.
type images struct {
	docker docker
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

// heldImage is an image that the engine has.
type heldImage struct {
	id    string // "sha256:..."
	ref   string // as asked for, with its tag
	user  string
	size  int64
	repos []string // "repo@sha256:..."
}

// imageID is how a container's status names the image.
func (h heldImage) imageID() string {
	if len(h.repos) > 0 {
		return "docker-pullable://" + h.repos[0]
	}
	return "docker://" + h.id
}

// parseImage completes an image's name with its tag, in Docker's short form.
func parseImage(name string) (ref string, err error) {
	n, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		//lint:ignore ST1005 the pod's status shows this sentence as kubelets write it
		return "", fmt.Errorf(invalidNameMessage, name, name, err)
	}
	return reference.FamiliarString(reference.TagNameOnly(n)), nil
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

// held looks an image up; ok is false where the engine does not have it.
func (i *images) held(ctx context.Context, ref string) (h heldImage, ok bool, err error) {
	in, err := i.docker.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return heldImage{}, false, nil
	}
	if err != nil {
		return heldImage{}, false, err
	}
	h = heldImage{id: in.ID, ref: ref, size: in.Size, repos: in.RepoDigests}
	if in.Config != nil {
		h.user = in.Config.User
	}
	return h, true, nil
}

// fetch pulls an image, joining a pull of it that is under way. With ctx done it returns at once; a pull that
// nobody waits for any more is ended.
func (i *images) fetch(ctx context.Context, ref string, auths []registry.AuthConfig) error {
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
			p.err = safely.Call(func() error { return i.pull(pctx, ref, auths) })
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

// pull tries each credential, then none.
func (i *images) pull(ctx context.Context, ref string, auths []registry.AuthConfig) error {
	var faults []error
	for _, a := range append(auths, registry.AuthConfig{}) {
		var o image.PullOptions
		if a != (registry.AuthConfig{}) {
			text, err := registry.EncodeAuthConfig(a)
			if err != nil {
				return err
			}
			o.RegistryAuth = text
		}
		err := i.pullWith(ctx, ref, o)
		if err == nil {
			return nil
		}
		faults = append(faults, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return faults[0]
}

// pullWith reads the engine's progress to its end: an error of the registry comes in it.
//
//	{"status":"Downloading",...}
//	{"errorDetail":{"message":"..."},"error":"..."}
func (i *images) pullWith(ctx context.Context, ref string, o image.PullOptions) error {
	progress, err := i.docker.ImagePull(ctx, ref, o)
	if err != nil {
		return err
	}
	defer progress.Close()
	d := json.NewDecoder(progress)
	for {
		var line struct {
			Error string `json:"error"`
		}
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the engine's progress: %w", err)
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}
