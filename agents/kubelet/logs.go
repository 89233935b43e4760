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

// noLinks as LogDir makes none.
const noLinks = "-"

// linkLogs leads from where log collectors look to the engine's own file:
//
//	/var/log/pods/<ns>_<pod>_<uid>/<container>/<attempt>.log
//	/var/log/containers/<pod>_<ns>_<container>-<id>.log
//
// A link that cannot be made is no fault of the pod's.
func (k *kubelet) linkLogs(f *engine.ContainerStatus) {
	if k.cfg.LogDir == noLinks || f.LogPath == "" {
		return
	}
	pods := filepath.Join(podLogDir(k.cfg.LogDir, f.Pod), f.Container, fmt.Sprintf("%d.log", f.Attempt))
	for at, to := range map[string]string{pods: f.LogPath, flatLog(k.cfg.LogDir, f): pods} {
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
			k.log.Debug("log not linked", "ns", f.Pod.Namespace, "name", f.Pod.Name, "container", f.Container, "err", err)
		}
	}
}

// unlinkLogs removes a container's links below dir.
func unlinkLogs(dir string, f *engine.ContainerStatus) {
	if dir == noLinks || f.Sandbox {
		return
	}
	_ = os.Remove(flatLog(dir, f))
	folder := filepath.Join(podLogDir(dir, f.Pod), f.Container)
	_ = os.Remove(filepath.Join(folder, fmt.Sprintf("%d.log", f.Attempt)))
	_ = os.Remove(folder) // while it is empty
	_ = os.Remove(filepath.Dir(folder))
}

func flatLog(dir string, f *engine.ContainerStatus) string {
	return filepath.Join(dir, "containers", fmt.Sprintf("%s_%s_%s-%s.log", f.Pod.Name, f.Pod.Namespace, f.Container, f.ID))
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
func (k *kubelet) terminationMessage(ctx context.Context, f *engine.ContainerStatus) string {
	text := k.readMessage(f.MessageFile)
	if text != "" || f.MessagePolicy != corev1.TerminationMessageFallbackToLogsOnError || f.Exit.Code == 0 {
		return text
	}
	end, err := k.engine.LogTail(ctx, f.ID, messageLines)
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
