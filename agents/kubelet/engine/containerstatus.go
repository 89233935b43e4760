package engine

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/container"
	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/volumes"
)

// ContainerStatus is one of the node's containers as the engine has it. It is never changed once it is returned.
type ContainerStatus struct {
	ID          string
	Name        string // the engine's name for it
	Pod         PodRef
	Sandbox     bool   // it is a pod's sandbox
	Container   string // its name in the pod; SandboxName for a sandbox
	SandboxID   string // the sandbox that a container joined
	Attempt     int
	State       State
	PID         int // 0 unless running
	Exit        Exit
	Created     time.Time
	Started     time.Time // zero: never
	Image       string    // as the spec named it
	ImageID     string    // the engine's "sha256:..."
	SpecHash    string    // see SpecHash
	Backoff     time.Duration
	Grace       int64 // seconds
	HostNetwork bool  // of a sandbox: the pod lives in the node's network
	TTY         bool
	LogPath     string // of the engine's log file, "" where there is none
	// MessageFile is the host's file behind terminationMessagePath; "" where there is none.
	MessageFile   string
	MessagePolicy corev1.TerminationMessagePolicy
}

// State is what a container is doing.
type State int

// A container that failed to start counts as exited: see parseExit.
const (
	StateCreated State = iota
	StateRunning
	StateExited
)

// Exit is how a container ended.
type Exit struct {
	Code     int
	Reason   string
	Message  string
	Finished time.Time
}

// maxBackoff bounds what is read from a label.
const maxBackoff = 5 * time.Minute

// Container is Engine's.
func (d *Docker) Container(ctx context.Context, id string) (*ContainerStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in, err := d.api.ContainerInspect(ctx, id)
	if err != nil {
		return nil, classify(err)
	}
	s, ok := parseContainer(in, d.cfg.Node)
	if !ok {
		return nil, &kindError{ErrNotFound, fmt.Errorf("container %s is not of node %s", id, d.cfg.Node)}
	}
	return s, nil
}

// parseContainer reads an inspected container; ok is false for one that is not the node's or whose labels make no sense.
func parseContainer(in container.InspectResponse, node string) (s *ContainerStatus, ok bool) {
	if in.ContainerJSONBase == nil || in.Config == nil || in.State == nil || in.HostConfig == nil {
		return nil, false
	}
	l := in.Config.Labels
	attempt, err := strconv.Atoi(l[LabelRestartCount])
	if l[LabelNode] != node || err != nil || attempt < 0 {
		return nil, false
	}
	// Names become those of files, and anyone with the engine's socket can set labels.
	if _, err := volumes.Join("", l[LabelPodNamespace], l[LabelPodName], l[LabelPodUID], l[LabelContainerName]); err != nil {
		return nil, false
	}
	backoff, _ := strconv.Atoi(l[LabelBackoff])
	grace, err := strconv.ParseInt(l[LabelPodGrace], 10, 64)
	if err != nil || grace < 0 {
		grace = corev1.DefaultTerminationGracePeriodSeconds
	}
	ref := refOf(in.ID, l)
	s = &ContainerStatus{
		ID: in.ID, Name: in.Name, Image: in.Config.Image, ImageID: in.Image,
		Pod:         ref.Pod,
		Sandbox:     ref.Sandbox,
		Container:   l[LabelContainerName],
		SandboxID:   l[LabelSandboxID],
		Attempt:     attempt,
		Created:     parseTime(in.Created),
		Started:     parseTime(in.State.StartedAt),
		SpecHash:    l[LabelSpecHash],
		Backoff:     min(max(time.Duration(backoff)*time.Second, 0), maxBackoff),
		Grace:       grace,
		HostNetwork: l[LabelPodHostNetwork] == "true",
		TTY:         in.Config.Tty,
		LogPath:     in.LogPath,

		MessagePolicy: corev1.TerminationMessagePolicy(l[LabelMessagePolicy]),
	}
	for _, m := range in.Mounts {
		if m.Destination != "" && m.Destination == l[LabelMessagePath] {
			s.MessageFile = m.Source
		}
	}
	s.State, s.Exit = parseExit(in.State, s.Created)
	if s.State == StateRunning {
		s.PID = in.State.Pid
	}
	return s, true
}

// Reasons of a terminated container.
const (
	ReasonCompleted = "Completed"
	ReasonError     = "Error"
	ReasonOOMKilled = "OOMKilled"
	ReasonCannotRun = "ContainerCannotRun"
)

// parseExit reads the engine's state. A start that failed leaves the container "created" with an exit code: it is an exit
// with the reason ContainerCannotRun, else the pod would try for ever without back-off.
func parseExit(s *container.State, created time.Time) (State, Exit) {
	finished := parseTime(s.FinishedAt)
	switch {
	case s.Running || s.Paused || s.Restarting:
		return StateRunning, Exit{}
	case !finished.IsZero():
		e := Exit{Code: s.ExitCode, Reason: ReasonError, Message: s.Error, Finished: finished}
		switch {
		case s.OOMKilled:
			e.Reason = ReasonOOMKilled
		case s.ExitCode == 0:
			e.Reason = ReasonCompleted
		case parseTime(s.StartedAt).IsZero():
			e.Reason = ReasonCannotRun
		}
		return StateExited, e
	case s.ExitCode != 0:
		return StateExited, Exit{Code: s.ExitCode, Reason: ReasonCannotRun, Message: s.Error, Finished: created}
	}
	return StateCreated, Exit{}
}

// parseTime reads the engine's time; its zero time and rubbish are the zero Time.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}
