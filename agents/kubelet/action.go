package kubelet

import "time"

// verb is what an action does.
type verb int

const (
	doSandbox verb = iota // start the sandbox, or complete it
	doStart               // start a container, pulling its image first
	doResize              // give a running container other resources
	doStop                // stop a container with grace
	doRemove              // remove a container that has ended
	doRelease             // remove the sandbox, its link, the volumes
	doDelete              // remove the pod from the API
	doForget              // remove what is kept of the pod; its worker ends
)

func (v verb) String() string {
	return [...]string{"sandbox", "start", "resize", "stop", "remove", "release", "delete", "forget"}[v]
}

// action is one thing to do and why. Key is what it makes busy.
type action struct {
	do        verb
	key       string // a container's name, or engine.SandboxName
	container member // start, stop
	id        string // resize, stop, remove
	again     bool   // stop: start it again whatever the restart policy
	attempt   int    // sandbox, start
	early     bool   // start: created while the sandbox is being started
	backoff   time.Duration
	reason    string
}

// deleteKey is the job key of the DELETE; no container can have that name.
const deleteKey = "/delete"
