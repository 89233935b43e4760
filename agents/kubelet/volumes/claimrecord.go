package volumes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// claimRecord is what a kubelet that restarts knows of a claim's volume without a gateway. It is in the volume's directory of the pod, which
// no container sees, and goes with it:
//
//	{"claim":"6c0d…","volume":"pvc-6c0d…","kind":"local","path":"/var/lib/gantry/volumes/pvc-6c0d…","ready":true}
type claimRecord struct {
	Claim    string              `json:"claim"`  // its uid
	Volume   string              `json:"volume"` // its name
	Kind     string              `json:"kind"`   // of the volume's source
	Path     string              `json:"path"`
	HostType corev1.HostPathType `json:"hostType,omitempty"`
	ReadOnly bool                `json:"readOnly,omitempty"`
	// Ready: the volume was mounted for the pod once. Before that the pod only holds it.
	Ready bool `json:"ready,omitempty"`
}

func (c claimRecord) source() volumeSource {
	return volumeSource{kind: c.Kind, path: c.Path, hostType: c.HostType}
}

func (c claimRecord) mounted() Mounted {
	return Mounted{Path: c.Path, ReadOnly: c.ReadOnly, Device: c.Kind == kindBlock}
}

const claimRecordFile = "claim.json"

// readClaimRecord reads the record in a volume's directory; fs.ErrNotExist where there is none.
func readClaimRecord(dir string) (rec claimRecord, err error) {
	text, err := os.ReadFile(filepath.Join(dir, claimRecordFile))
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(text, &rec); err != nil {
		return claimRecord{}, fmt.Errorf("reading the record of a claim in %s: %w", dir, err)
	}
	return rec, nil
}

// writeClaimRecord replaces the record as a whole; it is on the disk when that returns.
func writeClaimRecord(dir string, rec claimRecord) error {
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, claimRecordFile+".")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, claimRecordFile))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// errOtherPod is in the words of Kubernetes' kubelet.
var errOtherPod = errors.New("volume uses the ReadWriteOncePod access mode and is already in use by another pod")

// recordClaim writes that a pod holds a volume, and returns the other pods of this node that do. Where it is for one pod alone, another is an
// error and nothing is written.
func (v *Volumes) recordClaim(dir, podUID string, rec claimRecord, onePod bool) (others []string, err error) {
	v.claiming.Lock()
	defer v.claiming.Unlock()
	users, err := v.UsersOf(rec.Volume)
	for _, uid := range users {
		if uid != podUID {
			others = append(others, uid)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case onePod && len(others) > 0:
		return others, errOtherPod
	}
	return others, writeClaimRecord(dir, rec)
}

// UsersOf lists the uids of the pods that hold a persistent volume, from when it is to be mounted until their directory is removed.
func (v *Volumes) UsersOf(volume string) (uids []string, err error) {
	all, err := v.Pods()
	if err != nil {
		return nil, err
	}
	for _, uid := range all {
		holds, err := v.holds(uid, volume)
		if err != nil {
			return nil, err
		}
		if holds {
			uids = append(uids, uid)
		}
	}
	return uids, nil
}

// holds tells whether a pod holds a persistent volume.
func (v *Volumes) holds(podUID, volume string) (bool, error) {
	p := Plugin{Name: claimPluginName}
	dir, err := Join(v.cfg.Dir, podUID, volumesDir, p.dirName())
	if err != nil {
		return false, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	for _, e := range entries {
		rec, err := readClaimRecord(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // not recorded yet
		}
		if err != nil {
			return false, err
		}
		if rec.Volume == volume {
			return true, nil
		}
	}
	return false, nil
}
