package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
)

// noLinks as LogDir: no links are made.
const noLinks = "-"

// linkLogs links the paths that log collectors read to the engine's log file:
//
//	/var/log/pods/<ns>_<pod>_<uid>/<container>/<attempt>.log
//	/var/log/containers/<pod>_<ns>_<container>-<id>.log
//
// A link that cannot be made is no fault of the pod's.
func (k *kubelet) linkLogs(cs *engine.ContainerStatus) {
	if k.cfg.LogDir == noLinks || cs.LogPath == "" {
		return
	}
	pods := filepath.Join(podLogDir(k.cfg.LogDir, cs.Pod), cs.Container, fmt.Sprintf("%d.log", cs.Attempt))
	for at, to := range map[string]string{pods: cs.LogPath, flatLog(k.cfg.LogDir, cs): pods} {
		if have, err := os.Readlink(at); err == nil && have == to {
			continue
		}
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if err == nil {
			if err = os.Symlink(to, at); errors.Is(err, fs.ErrExist) {
				err = errors.Join(os.Remove(at), os.Symlink(to, at))
			}
		}
		if err != nil {
			k.log.Debug("log not linked", "ns", cs.Pod.Namespace, "name", cs.Pod.Name, "container", cs.Container, "err", err)
		}
	}
}

// unlinkLogs removes a container's links below dir.
func unlinkLogs(dir string, cs *engine.ContainerStatus) {
	if dir == noLinks || cs.Sandbox {
		return
	}
	_ = os.Remove(flatLog(dir, cs))
	folder := filepath.Join(podLogDir(dir, cs.Pod), cs.Container)
	_ = os.Remove(filepath.Join(folder, fmt.Sprintf("%d.log", cs.Attempt)))
	_ = os.Remove(folder) // while it is empty
	_ = os.Remove(filepath.Dir(folder))
}

func flatLog(dir string, cs *engine.ContainerStatus) string {
	return filepath.Join(dir, "containers", fmt.Sprintf("%s_%s_%s-%s.log", cs.Pod.Name, cs.Pod.Namespace, cs.Container, cs.ID))
}

func podLogDir(dir string, p engine.PodRef) string {
	return filepath.Join(dir, "pods", fmt.Sprintf("%s_%s_%s", p.Namespace, p.Name, p.UID))
}

// How much of a log stands in for a termination message.
const (
	messageLines = 80
	messageBytes = 2048
)

// terminationMessage is what a container that ended left to be read: its file, else, where its policy says so and it failed,
// the end of its log.
func (k *kubelet) terminationMessage(ctx context.Context, cs *engine.ContainerStatus) string {
	text := k.readMessage(cs.MessageFile)
	if text != "" || cs.MessagePolicy != corev1.TerminationMessageFallbackToLogsOnError || cs.Exit.Code == 0 {
		return text
	}
	end, err := k.engine.LogTail(ctx, cs.ID, messageLines)
	if err != nil {
		return ""
	}
	return endOfLog(end)
}

// endOfLog is the last lines of a log, no more than messageLines and messageBytes.
func endOfLog(all []byte) string {
	all = all[max(0, len(all)-messageBytes):]
	from := len(bytes.TrimSuffix(all, []byte("\n")))
	for range messageLines {
		if from = bytes.LastIndexByte(all[:max(from, 0)], '\n'); from < 0 {
			break
		}
	}
	return string(bytes.ToValidUTF8(all[from+1:], nil))
}
