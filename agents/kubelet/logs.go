package kubelet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	corev1 "k8s.io/api/core/v1"
)

// noLinks as LogDir makes none.
const noLinks = "-"

// linkLogs leads from where log collectors look to the engine's own file:
//
//	/var/log/pods/<ns>_<pod>_<uid>/<container>/<attempt>.log
//	/var/log/containers/<pod>_<ns>_<container>-<id>.log
//
// A link that cannot be made is no fault of the pod's.
func (k *kubelet) linkLogs(f *found) {
	if k.cfg.LogDir == noLinks || f.logPath == "" {
		return
	}
	pods := filepath.Join(podLogDir(k.cfg.LogDir, f.pod), f.container, fmt.Sprintf("%d.log", f.attempt))
	for at, to := range map[string]string{pods: f.logPath, flatLog(k.cfg.LogDir, f): pods} {
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
			k.log.Debug("log not linked", "ns", f.pod.namespace, "name", f.pod.name, "container", f.container, "err", err)
		}
	}
}

// unlinkLogs removes a container's links below dir.
func unlinkLogs(dir string, f *found) {
	if dir == noLinks || f.sandbox {
		return
	}
	_ = os.Remove(flatLog(dir, f))
	folder := filepath.Join(podLogDir(dir, f.pod), f.container)
	_ = os.Remove(filepath.Join(folder, fmt.Sprintf("%d.log", f.attempt)))
	_ = os.Remove(folder) // while it is empty
	_ = os.Remove(filepath.Dir(folder))
}

func flatLog(dir string, f *found) string {
	return filepath.Join(dir, "containers", fmt.Sprintf("%s_%s_%s-%s.log", f.pod.name, f.pod.namespace, f.container, f.id))
}

func podLogDir(dir string, p podRef) string {
	return filepath.Join(dir, "pods", fmt.Sprintf("%s_%s_%s", p.namespace, p.name, p.uid))
}

// How much of a log stands in for a termination message. The engine counts records, of which a long line has several: one more is
// asked for, so that a whole record of a line whose end comes first is there, which alone has more than messageBytes.
const (
	messageLines = 80
	messageBytes = 2048
)

// terminationMessage is what a container that ended left to be read: its file, else, where its policy says so and it failed,
// the end of its log.
func (k *kubelet) terminationMessage(ctx context.Context, f *found) string {
	text := k.readMessage(f.messageFile)
	if text != "" || f.messagePolicy != corev1.TerminationMessageFallbackToLogsOnError || f.exit.code == 0 {
		return text
	}
	r, err := k.docker.ContainerLogs(ctx, f.id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(messageLines + 1)})
	if err != nil {
		return ""
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := stdcopy.StdCopy(&b, &b, r); err != nil {
		return ""
	}
	return endOfLog(b.Bytes())
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
