package kubelet

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/volumes"
)

// found is one container of ours as the engine tells it. It is a value: never changed once parsed.
type found struct {
	id, name  string
	pod       podRef
	sandbox   bool   // it is a pod's pause container
	container string // "POD" for a sandbox
	sandboxID string // the sandbox that an app container joined
	attempt   int
	state     state
	pid       int // 0 unless running
	exit      exit
	created   time.Time
	started   time.Time // zero: never
	image     string    // as the spec named it
	imageID   string    // the engine's "sha256:..."
	spec      string    // see specHash
	backoff   time.Duration
	grace     int64 // seconds
	hostNet   bool  // sandbox: the pod lives in the node's network
	logPath   string
	// message is the host's file behind terminationMessagePath; "" where there is none.
	messageFile   string
	messagePolicy corev1.TerminationMessagePolicy
}

// exit is how a container ended.
type exit struct {
	code     int
	reason   string
	message  string
	finished time.Time
}

// podRef names a pod as labels do.
type podRef struct{ namespace, name, uid string }

// state is what a container is doing.
type state int

// A container that failed to start counts as exited: see parseExit.
const (
	stateCreated state = iota
	stateRunning
	stateExited
)

// parseFound reads an inspected container; ok is false for one that is not ours or whose labels make no sense.
func parseFound(in container.InspectResponse, node string) (f *found, ok bool) {
	if in.ContainerJSONBase == nil || in.Config == nil || in.State == nil || in.HostConfig == nil {
		return nil, false
	}
	l := in.Config.Labels
	attempt, err := strconv.Atoi(l[labelRestartCount])
	if l[labelNode] != node || err != nil || attempt < 0 {
		return nil, false
	}
	// Names become those of files, and anyone with the engine's socket can set labels.
	if _, err := volumes.Join("", l[labelPodNamespace], l[labelPodName], l[labelPodUID], l[labelContainerName]); err != nil {
		return nil, false
	}
	backoff, _ := strconv.Atoi(l[labelBackoff])
	grace, err := strconv.ParseInt(l[labelPodGrace], 10, 64)
	if err != nil || grace < 0 {
		grace = defaultGrace
	}
	f = &found{
		id: in.ID, name: in.Name, image: in.Config.Image, imageID: in.Image,
		pod:       podRef{l[labelPodNamespace], l[labelPodName], l[labelPodUID]},
		sandbox:   l[labelDockerType] == typeSandbox,
		container: l[labelContainerName],
		sandboxID: l[labelSandboxID],
		attempt:   attempt,
		created:   parseTime(in.Created),
		started:   parseTime(in.State.StartedAt),
		spec:      l[labelSpec],
		backoff:   min(max(time.Duration(backoff)*time.Second, 0), maxBackoff),
		grace:     grace,
		hostNet:   l[labelPodHostNetwork] == "true",
		logPath:   in.LogPath,

		messagePolicy: corev1.TerminationMessagePolicy(l[labelMessagePolicy]),
	}
	for _, m := range in.Mounts {
		if m.Destination != "" && m.Destination == l[labelMessagePath] {
			f.messageFile = m.Source
		}
	}
	f.state, f.exit = parseExit(in.State, f.created)
	if f.state == stateRunning {
		f.pid = in.State.Pid
	}
	return f, true
}

// Reasons of a terminated container.
const (
	reasonCompleted = "Completed"
	reasonError     = "Error"
	reasonOOMKilled = "OOMKilled"
	reasonCannotRun = "ContainerCannotRun"
)

// parseExit reads the engine's state. A start that failed leaves the container "created" with an exit code: it is an exit
// with the reason ContainerCannotRun, else the pod would try for ever without back-off.
func parseExit(s *container.State, created time.Time) (state, exit) {
	finished := parseTime(s.FinishedAt)
	switch {
	case s.Running || s.Paused || s.Restarting:
		return stateRunning, exit{}
	case !finished.IsZero():
		e := exit{code: s.ExitCode, reason: reasonError, message: s.Error, finished: finished}
		switch {
		case s.OOMKilled:
			e.reason = reasonOOMKilled
		case s.ExitCode == 0:
			e.reason = reasonCompleted
		case parseTime(s.StartedAt).IsZero():
			e.reason = reasonCannotRun
		}
		return stateExited, e
	case s.ExitCode != 0:
		return stateExited, exit{code: s.ExitCode, reason: reasonCannotRun, message: s.Error, finished: created}
	}
	return stateCreated, exit{}
}

// parseTime reads the engine's time; its zero time and rubbish are the zero Time.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// newestFirst orders attempts of one container.
func newestFirst(a, b *found) int {
	return cmp.Or(cmp.Compare(b.attempt, a.attempt), b.created.Compare(a.created), cmp.Compare(a.id, b.id))
}

// group is a pod's containers: its sandboxes, and the attempts of each container, each newest first.
type group struct {
	sandboxes  []*found
	containers map[string][]*found
}

func groupFound(all map[string]*found) group {
	g := group{containers: map[string][]*found{}}
	for _, f := range all {
		if f.sandbox {
			g.sandboxes = append(g.sandboxes, f)
		} else {
			g.containers[f.container] = append(g.containers[f.container], f)
		}
	}
	slices.SortFunc(g.sandboxes, newestFirst)
	for _, list := range g.containers {
		slices.SortFunc(list, newestFirst)
	}
	return g
}

// sandbox is the newest one, nil where there is none.
func (g group) sandbox() *found {
	if len(g.sandboxes) == 0 {
		return nil
	}
	return g.sandboxes[0]
}

// latest is the newest attempt of a container, nil where there is none.
func (g group) latest(name string) *found {
	if len(g.containers[name]) == 0 {
		return nil
	}
	return g.containers[name][0]
}
