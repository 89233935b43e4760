package localvolumes

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/internal/events"
	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/registry/store"
	"gantry/schema/core"
	"gantry/schema/kinds"
	"gantry/schema/volumes"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// testNode is the node n1 with its local volumes, beside the cluster's registry.
type testNode struct {
	*testing.T
	api   *registry.Registry
	etcd  *store.Fake
	local *Volumes
	users atomic.Pointer[[]string] // of every volume
	stop  func()
}

func newTestNode(t *testing.T) *testNode {
	api, etcd := registrytest.New(t)
	n := &testNode{T: t, api: api, etcd: etcd}
	n.users.Store(&[]string{})
	root := t.TempDir()
	own := registrytest.Run(t, registry.Config{Store: etcd, Kinds: kinds.New(), Node: "n1", Log: slog.New(slog.DiscardHandler)})
	n.local = New(Config{
		Dir: filepath.Join(root, "volumes"), Records: filepath.Join(root, "records"), Node: "n1", Registry: own, Gateway: api,
		UsersOf: func(string) ([]string, error) { return *n.users.Load(), nil },
		Events:  events.New(api, "kubelet", "n1", slog.New(slog.DiscardHandler)), Log: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { n.stop() })
	n.start()
	return n
}

func (n *testNode) start() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = n.local.Run(ctx) })
	wg.Go(func() { _ = n.local.cfg.Events.Run(ctx) })
	n.stop = func() {
		cancel()
		wg.Wait()
	}
}

// restart starts a kubelet's part that knows nothing of the one before, which was stopped.
func (n *testNode) restart() {
	n.local = New(n.local.cfg)
	n.start()
}

// create creates a local volume of n1 that change alters, with a file in its directory, and returns where that is.
func (n *testNode) create(change func(pv *corev1.PersistentVolume)) (pv *corev1.PersistentVolume, file string) {
	n.Helper()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data", UID: "01234567-89ab-cdef-0123-456789abcdef"},
		Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{volumes.LocalDirectory: n.local.cfg.Dir}}}
	pv = volumes.NewLocal(claim, volumes.DefaultClass(), node)
	if err := n.local.Make(pv); err != nil {
		n.Fatal(err)
	}
	file = filepath.Join(n.local.cfg.Dir, pv.Name, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		n.Fatal(err)
	}
	if change != nil {
		change(pv)
	}
	pv, err := registry.For[*corev1.PersistentVolume](n.api).Create(n.Context(), pv)
	if err != nil {
		n.Fatal(err)
	}
	return pv, file
}

// delete deletes a volume, and lets it go but for its directory.
func (n *testNode) delete(name string) {
	n.Helper()
	if err := registry.For[*corev1.PersistentVolume](n.api).Delete(n.Context(), "", name, registry.DeleteOptions{}); err != nil {
		n.Fatal(err)
	}
	n.unprotect(name)
}

func (n *testNode) unprotect(name string) {
	registrytest.Modify(n.T, n.api, "", name, "", func(pv *corev1.PersistentVolume) {
		pv.Finalizers = slices.DeleteFunc(pv.Finalizers, func(f string) bool { return f == core.VolumeProtection })
	})
}

// untilGone waits until a volume is gone.
func (n *testNode) untilGone(name string) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), patience)
	defer cancel()
	gone := false
	_ = n.api.FollowOne(ctx, core.PersistentVolume, "", name, func(it *registry.Item) {
		if it == nil {
			gone = true
			cancel()
		}
	})
	if !gone {
		n.Fatalf("volume %s is still there", name)
	}
}

// untilFailed waits for the event that a volume's directory was not removed, and returns its message.
func (n *testNode) untilFailed() (message string) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), patience)
	defer cancel()
	_ = n.api.Follow(ctx, core.Event, func(c registry.Change) {
		if c.New == nil {
			return
		}
		if e := c.New.Object().(*corev1.Event); e.Reason == "VolumeFailedDelete" {
			message = e.Message
			cancel()
		}
	})
	if message == "" {
		n.Fatal("no event VolumeFailedDelete")
	}
	return message
}

// isThere tells whether a volume has an object.
func (n *testNode) isThere(name string) bool {
	_, err := registry.For[*corev1.PersistentVolume](n.api).Get(n.Context(), "", name)
	return err == nil
}

func TestDirectoryGoesWithItsVolume(t *testing.T) {
	n := newTestNode(t)
	pv, file := n.create(nil)
	n.delete(pv.Name)
	n.untilGone(pv.Name)
	if exists(filepath.Dir(file)) {
		t.Error("the directory is left")
	}
}

// TestDirectoryGoesAfterARestart: a deletion that comes while no kubelet runs is done by the next one.
func TestDirectoryGoesAfterARestart(t *testing.T) {
	n := newTestNode(t)
	pv, file := n.create(nil)
	n.stop()
	n.delete(pv.Name)
	if !exists(file) {
		t.Fatal("the data went without a kubelet")
	}
	n.restart()
	n.untilGone(pv.Name)
	if exists(filepath.Dir(file)) {
		t.Error("the directory is left")
	}
}

func TestRetainedVolumeLeavesItsDirectory(t *testing.T) {
	n := newTestNode(t)
	pv, file := n.create(func(pv *corev1.PersistentVolume) {
		pv.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	})
	n.delete(pv.Name)
	n.untilGone(pv.Name)
	if !exists(file) {
		t.Error("the data of a volume that is to be retained is gone")
	}
}

// TestHeldVolumeIsKept while it is protected as bound, and while a pod of the node has it.
func TestHeldVolumeIsKept(t *testing.T) {
	n := newTestNode(t)
	n.stop()
	n.users.Store(&[]string{"a-pod"})
	pv, file := n.create(nil)
	deleted := func() *corev1.PersistentVolume {
		pv, err := registry.For[*corev1.PersistentVolume](n.api).Get(t.Context(), "", pv.Name)
		if err != nil {
			t.Fatal(err)
		}
		return pv
	}
	if err := registry.For[*corev1.PersistentVolume](n.api).Delete(t.Context(), "", pv.Name, registry.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	protected := deleted()
	n.unprotect(pv.Name)
	for _, c := range []struct {
		pv    *corev1.PersistentVolume
		after time.Duration
	}{{protected, 0}, {deleted(), heldRetry}} {
		n.local.followed[pv.Name] = c.pv
		if after, err := n.local.reconcile(t.Context(), pv.Name); after != c.after || err != nil || !exists(file) {
			t.Errorf("finalizers %v: looked at again after %s, %v; data there: %v", c.pv.Finalizers, after, err, exists(file))
		}
	}
	n.users.Store(&[]string{})
	n.restart()
	n.untilGone(pv.Name)
	if exists(filepath.Dir(file)) {
		t.Error("the directory is left")
	}
}

// TestOthersDirectoriesAreNotTouched: a volume that somebody wrote by hand names no directory that is removed. An event says so.
func TestOthersDirectoriesAreNotTouched(t *testing.T) {
	outside := t.TempDir()
	for name, c := range map[string]struct {
		change func(pv *corev1.PersistentVolume)
		want   string
	}{
		"another path": {func(pv *corev1.PersistentVolume) { pv.Spec.Local.Path = outside }, "its path is not "},
		"another name": {func(pv *corev1.PersistentVolume) { pv.Name = "lost" }, `"lost" is no name of a volume that the provisioner gantry.io/local makes`},
		"not local": {func(pv *corev1.PersistentVolume) {
			pv.Spec.Local, pv.Spec.HostPath = nil, &corev1.HostPathVolumeSource{Path: outside}
		}, "its path is not "},
	} {
		t.Run(name, func(t *testing.T) {
			n := newTestNode(t)
			pv, file := n.create(c.change)
			if err := os.MkdirAll(filepath.Join(n.local.cfg.Dir, "lost"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := n.local.Make(pv); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("making it: %v", err)
			}
			n.delete(pv.Name)
			if got := n.untilFailed(); !strings.HasPrefix(got, c.want) {
				t.Errorf("the event says %q, want %q", got, c.want)
			}
			if !exists(outside) || !exists(file) || !exists(filepath.Join(n.local.cfg.Dir, "lost")) || !n.isThere(pv.Name) {
				t.Error("something was removed")
			}
		})
	}
}

// TestStaleCopyRemovesNothing: a volume that went from etcd by hand leaves its copy for the node, which is no order to remove data.
func TestStaleCopyRemovesNothing(t *testing.T) {
	n := newTestNode(t)
	n.stop()
	pv, file := n.create(nil)
	now := metav1.Now()
	stale := pv.DeepCopy()
	stale.DeletionTimestamp, stale.Finalizers = &now, []string{volumes.LocalFinalizer}
	n.local.followed["pvc-gone"], n.local.followed[pv.Name] = stale, stale
	for _, name := range []string{"pvc-gone", pv.Name} { // the object is absent, and not being deleted
		if after, err := n.local.reconcile(t.Context(), name); after != 0 || err != nil || !exists(file) {
			t.Errorf("%s: after %s, %v; data there: %v", name, after, err, exists(file))
		}
	}
}
