package embedded

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"gantry/registry/store"
)

// BackupInfo says what a backup holds.
type BackupInfo struct {
	Keys     int
	Revision int64
	Bytes    int64
}

// Backup writes a snapshot of etcd to a file (mode 0600) and reads it again to check that it is complete. The file
// appears under its name only then; one that is there is not overwritten.
func Backup(ctx context.Context, client *clientv3.Client, file string) (BackupInfo, error) {
	if _, err := os.Lstat(file); err == nil {
		return BackupInfo{}, fmt.Errorf("saving etcd: %s is there already", file)
	}
	part := file + ".part"
	defer os.Remove(part)
	if err := download(ctx, client, part); err != nil {
		return BackupInfo{}, fmt.Errorf("saving etcd to %s: %w", file, err)
	}
	info, err := inspect(part)
	if err != nil {
		return info, fmt.Errorf("checking the backup %s: %w", file, err)
	}
	// Unlike a rename, a link never replaces a file that another process has made meanwhile.
	if err := os.Link(part, file); err != nil {
		return info, fmt.Errorf("naming the backup: %w", err)
	}
	return info, syncDir(filepath.Dir(file))
}

func download(ctx context.Context, client *clientv3.Client, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	r, err := client.Snapshot(ctx)
	if err != nil {
		return store.ReadError(ctx, err)
	}
	defer r.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// inspect checks the checksum that a snapshot ends in and the database's structure.
func inspect(file string) (BackupInfo, error) {
	f, err := os.Open(file)
	if err != nil {
		return BackupInfo{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return BackupInfo{}, err
	}
	size := info.Size() - sha256.Size
	if size <= 0 || size%512 != 0 {
		return BackupInfo{}, errors.New("it is no snapshot of etcd, or a part of one is missing")
	}
	sum := sha256.New()
	if _, err := io.CopyN(sum, f, size); err != nil {
		return BackupInfo{}, err
	}
	want := make([]byte, sha256.Size)
	if _, err := io.ReadFull(f, want); err != nil {
		return BackupInfo{}, err
	}
	if subtle.ConstantTimeCompare(want, sum.Sum(nil)) == 0 {
		return BackupInfo{}, errors.New("its checksum is wrong: it was damaged or cut")
	}
	status, err := snapshot.NewV3(zap.NewNop()).Status(file)
	if err != nil {
		return BackupInfo{}, err
	}
	return BackupInfo{Keys: status.TotalKey, Revision: status.Revision, Bytes: info.Size()}, nil
}

// revisionBump is how far above the backup's the revisions of a restored etcd begin: above all that clients have
// seen since the backup, so that none takes an old revision for a current one.
const revisionBump = 1_000_000_000

// memberDir is what etcd makes in its data directory.
const memberDir = "member"

// RestoreInfo says what Restore did.
type RestoreInfo struct {
	BackupInfo
	// Dir is the embedded etcd's directory; Aside is where the data that were in it are now; "": there were none.
	Dir, Aside string
	// Next is the revision at which the restored etcd goes on. All before it is compacted.
	Next int64
}

// Restore replaces the data of the embedded etcd in dir (Config.Dir), which must not run, by a backup. The old
// data are moved aside, to <dir>.before-restore-<time>. Watches and reads from any earlier revision will be Expired.
func Restore(file, dir string) (RestoreInfo, error) {
	info, err := inspect(file)
	if err != nil {
		return RestoreInfo{}, fmt.Errorf("reading the backup %s: %w", file, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return RestoreInfo{}, fmt.Errorf("restoring: %w", err)
	}
	defer lock.Close()
	fresh := filepath.Join(dir, "restoring")
	if err := os.RemoveAll(fresh); err != nil {
		return RestoreInfo{}, fmt.Errorf("restoring: %w", err)
	}
	defer os.RemoveAll(fresh)
	c := etcdConfig(Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, Name: c.Name, OutputDataDir: fresh,
		PeerURLs: []string{c.AdvertisePeerUrls[0].String()}, InitialCluster: c.InitialCluster, InitialClusterToken: c.InitialClusterToken,
		RevisionBump: revisionBump, MarkCompacted: true,
	})
	if err != nil {
		return RestoreInfo{}, fmt.Errorf("restoring %s: %w", file, err)
	}
	out := RestoreInfo{BackupInfo: info, Dir: dir, Next: info.Revision + revisionBump}
	out.Aside, err = replaceDir(filepath.Join(fresh, memberDir), filepath.Join(dir, memberDir), dir+".before-restore-"+time.Now().UTC().Format("20060102T150405Z"))
	if err != nil {
		return RestoreInfo{}, fmt.Errorf("restoring: %w", err)
	}
	return out, syncDir(dir)
}

// replaceDir puts fresh in data's place and data into the new directory aside. There is no moment without data: a gantry
// that started then would begin an empty cluster.
func replaceDir(fresh, data, aside string) (string, error) {
	err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, data, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOENT) { // nothing was there
		return "", os.Rename(fresh, data)
	}
	if err != nil {
		return "", fmt.Errorf("exchanging %s: %w", data, err)
	}
	if err := os.Mkdir(aside, 0o700); err != nil {
		return "", fmt.Errorf("keeping the old data: %w", err)
	}
	return aside, os.Rename(fresh, filepath.Join(aside, memberDir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
