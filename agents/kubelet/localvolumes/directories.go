package localvolumes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"gantry/agents/internal/removetree"
)

// directories are the directories of a node's local volumes, each named as its volume, and the records of which were made. What begins with
// a dot is on its way: to become a volume's directory, or to be removed.
type directories struct {
	dir     string
	records string // a directory of its own: it tells a volume that is new from one whose disk is not there

	mu sync.Mutex // held while a directory is made, and while those that were not completed are removed
}

const (
	newPrefix     = ".new-"
	deletedPrefix = ".deleted-"
	recordSuffix  = ".json"
)

// The volumes' directory is root's alone. Everybody in a pod may write to a volume, as to an emptyDir.
const (
	parentMode = 0o700
	volumeMode = 0o777
)

// validName is what the volumes that the controller persistentvolumebinder makes are named: by their first claim's uid. Nothing else in the
// volumes' directory is touched.
var validName = regexp.MustCompile(`^pvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// record is the content of a record, for people to read; that there is one is what counts.
type record struct {
	Path  string `json:"path"`
	Claim string `json:"claim"` // namespace/name
}

func (d *directories) recordFile(name string) string {
	return filepath.Join(d.records, name+recordSuffix)
}

// make makes a volume's directory where the volume is new. One that was made before must be there: another in its place would be empty, and
// its pod would take that for its data.
func (d *directories) make(name string, rec record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := filepath.Join(d.dir, name)
	exists, err := isDirectory(path)
	if err != nil {
		return err
	}
	_, err = os.Lstat(d.recordFile(name))
	switch {
	case err == nil && exists:
		return nil
	case err == nil:
		return fmt.Errorf("path %q does not exist, though it was made before: its disk may not be mounted. "+
			"To begin with an empty volume remove %s", path, d.recordFile(name))
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if !exists { // else it is from before the records were lost, or a crash came before the record
		if err := d.create(name); err != nil {
			return err
		}
	}
	return d.writeRecord(name, rec)
}

// create makes a new directory under another name first: below its own it is complete.
func (d *directories) create(name string) error {
	if err := os.MkdirAll(d.dir, parentMode); err != nil {
		return err
	}
	fresh := filepath.Join(d.dir, newPrefix+name)
	if err := os.Mkdir(fresh, volumeMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(fresh, volumeMode); err != nil { // past the umask
		return err
	}
	if err := os.Rename(fresh, filepath.Join(d.dir, name)); err != nil {
		return err
	}
	return syncDir(d.dir)
}

func (d *directories) writeRecord(name string, rec record) error {
	text, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.records, parentMode); err != nil {
		return err
	}
	if err := os.WriteFile(d.recordFile(name), append(text, '\n'), 0o600); err != nil {
		return err
	}
	return syncDir(d.records)
}

// remove removes a volume's directory with its data. It can be repeated, whatever an earlier call has done of it.
func (d *directories) remove(name string) error {
	path, trash := filepath.Join(d.dir, name), filepath.Join(d.dir, deletedPrefix+name)
	exists, err := isDirectory(path)
	if err != nil {
		return err
	}
	if err := removetree.All(trash); err != nil {
		return err
	}
	if exists {
		if err := os.Rename(path, trash); err != nil {
			return err
		}
		if err := removetree.All(trash); err != nil {
			return err
		}
	}
	return d.forget(name)
}

// forget removes the record of a volume; its directory stays.
func (d *directories) forget(name string) error {
	if err := os.Remove(d.recordFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeLeftovers removes what crashes have left: directories that no volume has yet, or any more.
func (d *directories) removeLeftovers() error {
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(d.dir, e.Name())
		if name, ok := strings.CutPrefix(e.Name(), newPrefix); ok && validName.MatchString(name) {
			errs = append(errs, d.removeNew(path))
		}
		if name, ok := strings.CutPrefix(e.Name(), deletedPrefix); ok && validName.MatchString(name) {
			errs = append(errs, removetree.All(path))
		}
	}
	return errors.Join(errs...)
}

// removeNew removes a directory that was not completed, and is empty therefore.
func (d *directories) removeNew(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// isDirectory tells whether there is a directory; anything else there, a link too, is an error.
func isDirectory(path string) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case !info.IsDir():
		return false, fmt.Errorf("path %q is not a directory", path)
	}
	return true, nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
