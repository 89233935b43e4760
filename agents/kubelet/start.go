package kubelet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/volumes"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// startInput is what a start needs of its pod.
type startInput struct {
	pod     *corev1.Pod
	action  action
	making  *sandboxStart // of an early start: what follows comes from it
	sandbox string        // ID
	podIP   netip.Addr
	volumes map[string]volume // nil: mount them first
	pulls   *pullBackoff
	turn    turn
}

// untilMade waits until the container can be made in its sandbox, and it is its turn to be.
func (in *startInput) untilMade(ctx context.Context) error {
	if in.making != nil {
		if err := in.making.await(ctx, in.making.made); err != nil {
			return err
		}
		in.sandbox, in.volumes = in.making.id, in.making.volumes
		if !in.pod.Spec.HostNetwork {
			in.podIP = in.making.address
		}
	}
	return in.turn.untilCreate(ctx)
}

// untilReady waits until its sandbox is complete.
func (in *startInput) untilReady(ctx context.Context) error {
	if in.making == nil {
		return nil
	}
	return in.making.await(ctx, in.making.done)
}

// untilItsTurn waits until the container can be started.
func (in *startInput) untilItsTurn(ctx context.Context) error {
	if err := in.untilReady(ctx); err != nil {
		return err
	}
	return in.turn.untilStart(ctx)
}

// startRetry is how soon a start that met a passing fault (a config map not there yet) is tried again.
const startRetry = 10 * time.Second

// startContainer brings one attempt of a container up: image, volumes, environment, create, start, postStart. The error is a
// *waitError where it is the container's affair, errNoSandbox where the sandbox beside it fails, else the engine's.
func (k *kubelet) startContainer(ctx context.Context, in *startInput) (id string, image *engine.Image, err error) {
	c := in.action.container
	image, err = k.ensureImage(ctx, in)
	if err == nil {
		err = in.untilMade(ctx)
	}
	if err != nil {
		return "", image, err
	}
	cfg, err := k.configure(ctx, *in, image)
	reason := waitConfigError
	if err == nil {
		id, err = k.engine.CreateContainer(ctx, cfg)
		if errors.Is(err, engine.ErrUnreachable) {
			return "", image, err
		}
		if !errors.Is(err, engine.ErrConfig) {
			reason = waitCreateError
		}
	}
	if err != nil {
		k.containerEvent(in.pod, c, corev1.EventTypeWarning, "Failed", "Error: %v", err)
		return "", image, &waitError{problem{reason: reason, message: err.Error()}, startRetry}
	}
	k.containerEvent(in.pod, c, corev1.EventTypeNormal, "Created", "Created container: %s", c.Name)
	if err := in.untilItsTurn(ctx); err != nil {
		return id, image, err
	}
	if err := k.engine.Start(ctx, id); err != nil {
		if errors.Is(err, engine.ErrUnreachable) {
			return id, image, err
		}
		k.containerEvent(in.pod, c, corev1.EventTypeWarning, "Failed", "Error: %v", err)
		return id, image, &waitError{problem{reason: waitRunError, message: err.Error()}, 0} // the attempt counts: its back-off applies
	}
	k.containerEvent(in.pod, c, corev1.EventTypeNormal, "Started", "Started container %s", c.Name)
	return id, image, nil
}

// configure makes the container's configuration. Its errors are for the container's status.
func (k *kubelet) configure(ctx context.Context, in startInput, image *engine.Image) (engine.ContainerConfig, error) {
	c := in.action.container.Container
	if in.volumes == nil {
		v, err := k.mountVolumes(ctx, in.pod)
		if err != nil {
			return engine.ContainerConfig{}, err
		}
		in.volumes = v
	}
	env, err := resolveEnv(in.pod, c, k.envSources(ctx, in.pod, in.podIP))
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	mounts, err := volumeMounts(c, in.volumes, env, func(v volume, index int, sub string) (string, error) {
		return k.mountSubPath(ctx, in.pod, volumes.SubPath{Volume: c.VolumeMounts[index].Name, Root: v.path, Container: c.Name, Index: index, Path: sub})
	})
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	dir, err := k.podDir(string(in.pod.UID))
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	message, err := messageMount(c, in.action.attempt, dir)
	if err != nil {
		return engine.ContainerConfig{}, err
	}
	for _, more := range [][]engine.Mount{podFileMounts(in.pod, c, dir), message} {
		mounts = append(mounts, more...)
	}
	return containerConfig(in, image, env, mounts)
}

// containerConfig is what the container of a start is created from.
func containerConfig(in startInput, image *engine.Image, env *environment, mounts []engine.Mount) (engine.ContainerConfig, error) {
	c := in.action.container.Container
	security := securityOf(in.pod, c)
	if err := checkNonRoot(in.pod, c, security, image.User); err != nil {
		return engine.ContainerConfig{}, err
	}
	return engine.ContainerConfig{
		Pod: in.pod, Container: c, Sandbox: in.sandbox, Attempt: in.action.attempt, Backoff: in.action.backoff, Grace: specGrace(in.pod),
		Image: image, Env: env.list(), Command: expandAll(c.Command, env.get), Args: expandAll(c.Args, env.get), Mounts: mounts,
		Security: security, QOS: qosClass(in.pod), Resources: engineResources(c),
	}, nil
}

// envSources reads what environment variables refer to, through the gateway: a node may not read it in etcd.
func (k *kubelet) envSources(ctx context.Context, pod *corev1.Pod, podIP netip.Addr) envSources {
	return envSources{
		configMap: func(name string) (*corev1.ConfigMap, bool, error) {
			return read[*corev1.ConfigMap](ctx, k.cfg.Gateway, core.ConfigMap, pod.Namespace, name)
		},
		secret: func(name string) (*corev1.Secret, bool, error) {
			return read[*corev1.Secret](ctx, k.cfg.Gateway, core.Secret, pod.Namespace, name)
		},
		services:    serviceEnv(pod, k.services(ctx)),
		nodeIP:      k.cfg.NodeIP,
		podIP:       podIP,
		allocatable: k.allocatable(),
	}
}

// read gets an object of the pod's namespace; ok is false where there is none.
func read[T schema.Object](ctx context.Context, api registry.API, kind *schema.Kind, namespace, name string) (obj T, ok bool, err error) {
	it, err := api.Get(ctx, kind, namespace, name, "")
	if isNotFound(err) {
		return obj, false, nil
	}
	if err != nil {
		return obj, false, fmt.Errorf("reading %s %s/%s: %w", kind.Singular, namespace, name, err)
	}
	return it.Object().(T), true, nil
}

// mountVolumes makes the pod's volumes.
func (k *kubelet) mountVolumes(ctx context.Context, pod *corev1.Pod) (map[string]volume, error) {
	m, err := k.volumes.Mount(ctx, pod)
	if err != nil {
		return nil, err
	}
	out := make(map[string]volume, len(m))
	for name, v := range m {
		out[name] = volume{v.Path, v.ReadOnly}
	}
	return out, nil
}

// mountSubPath logs what went wrong: the pod's author is not told of the host's files.
func (k *kubelet) mountSubPath(ctx context.Context, pod *corev1.Pod, s volumes.SubPath) (string, error) {
	place, err := k.volumes.MountSubPath(ctx, pod, s)
	if err != nil {
		k.log.Warn("subPath not mounted", "ns", pod.Namespace, "name", pod.Name, "container", s.Container, "volume", s.Volume, "err", err)
	}
	return place, err
}

// removeVolumes unmounts a pod's volumes and removes its directory.
func (k *kubelet) removeVolumes(ctx context.Context, uid string) error {
	if err := k.volumes.Unmount(ctx, uid); err != nil {
		return err
	}
	return k.volumes.Remove(ctx, uid)
}

// ensureImage makes sure the engine has the container's image, as its pull policy says.
func (k *kubelet) ensureImage(ctx context.Context, in *startInput) (*engine.Image, error) {
	pod, c := in.pod, in.action.container
	ref, err := parseImage(c.Image)
	if err != nil {
		k.containerEvent(pod, c, corev1.EventTypeWarning, "InspectFailed", "%v", err)
		k.containerEvent(pod, c, corev1.EventTypeWarning, "Failed", "Error: %s", waitInvalidImage)
		return nil, &waitError{problem{reason: waitInvalidImage, message: err.Error()}, maxBackoff}
	}
	image, err := k.engine.Image(ctx, ref)
	present := err == nil
	if !present && !errors.Is(err, engine.ErrNotFound) {
		return nil, err
	}
	policy := pullPolicy(c.Container, ref)
	switch {
	case present && policy != corev1.PullAlways:
		k.containerEvent(pod, c, corev1.EventTypeNormal, "Pulled", presentMessage, c.Image)
		return image, nil
	case policy == corev1.PullNever:
		message := fmt.Sprintf(neverPullMessage, c.Image)
		k.containerEvent(pod, c, corev1.EventTypeWarning, waitNeverPull, "%s", message)
		k.containerEvent(pod, c, corev1.EventTypeWarning, "Failed", "Error: %s", waitNeverPull)
		return nil, &waitError{problem{reason: waitNeverPull, message: message}, startRetry}
	}
	if err := in.untilReady(ctx); err != nil { // a pull is long, and in vain without a sandbox
		return nil, err
	}
	return k.pullImage(ctx, pod, c, ref, in.pulls)
}

func (k *kubelet) pullImage(ctx context.Context, pod *corev1.Pod, c member, ref string, back *pullBackoff) (*engine.Image, error) {
	begin := time.Now()
	k.containerEvent(pod, c, corev1.EventTypeNormal, "Pulling", "Pulling image %q", c.Image)
	err := k.images.fetch(ctx, ref, k.pullSecrets(ctx, pod))
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
		k.containerEvent(pod, c, corev1.EventTypeWarning, "Failed", "Error: %s", waitImagePull)
		return nil, &waitError{problem{reason: waitImagePull, message: err.Error()}, back.next(ref)}
	}
	back.forget(ref)
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

// notAFault tells errors that say nothing of the container: the engine is away or the kubelet ends.
func notAFault(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, engine.ErrUnreachable) || errors.Is(err, engine.ErrUnavailable)
}
