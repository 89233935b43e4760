// Package engine is what the kubelet asks of a container engine, and Docker's answers. No other package of the kubelet knows Docker.
//
// # Contract
//
// Engine speaks of sandboxes, containers and images. An Engine serves one node: its containers are those that it created, known by a label
// with the node's name; it neither lists nor touches any other. What the kubelet must know again after a restart (pod, attempt, back-off,
// grace, hash of the image) is kept on the container and comes back in its ContainerStatus.
//
// Methods may be called at the same time. A call that changes the engine is finished when its ctx ends after it has begun: half a start is
// worse than a late end. Waiting to begin, reading and streaming end with ctx. Errors have a kind, tested with errors.Is and the Err variables of
// errors.go; their texts are the engine's own and fit for a pod's status. Nothing is retried here.
//
// New returns the implementation for Docker (docker.go). Fake implements the same contract in memory: enginetest.Run runs one suite on both.
//
// # Where to find what
//
//	labels.go            names and labels of containers
//	containerstatus.go   a container's status as read from Docker
//	config.go            a pod's sandbox and container as Docker's configuration; security.go, privilege.go, resources.go
//	lifecycle.go         create, start, stop, remove
//	image.go             images and pulls; pullauth.go credentials, sandboximage.go the pause image
//	exec.go              exec and attach; killexec.go
//	logs.go              logs; logrecord.go, logtail.go
//	events.go            the event stream
//	features.go          what this engine can do
package engine
