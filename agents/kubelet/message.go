package kubelet

import (
	"io"
	"path/filepath"

	"gantry/agents/kubelet/volumes"
)

// podDir holds what the kubelet keeps of a pod: <data dir>/pods/<uid>.
func (k *kubelet) podDir(uid string) (string, error) {
	return volumes.Join(filepath.Join(k.cfg.DataDir, "pods"), uid)
}

// maxMessage bounds a termination message, in bytes.
const maxMessage = 4096

// readMessage reads a termination message; "" where there is none. Only files below the pods' directories are read: what else a
// container mounts at its terminationMessagePath it may have replaced by a link.
func (k *kubelet) readMessage(file string) string {
	f, err := k.volumes.OpenFile(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return ""
	}
	text, err := io.ReadAll(io.LimitReader(f, maxMessage))
	if err != nil {
		return ""
	}
	return string(text)
}
