package volumes

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry"
	"gantry/schema"
)

// objects is an API of a few objects, by resource and name.
type objects struct {
	registry.API
	of    map[string]schema.Object
	asked func(ctx context.Context) // called first; nil: nothing
	away  bool                      // nobody answers
}

func (o *objects) Get(ctx context.Context, k *schema.Kind, _, name, _ string) (*registry.Item, error) {
	if o.asked != nil {
		o.asked(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.away {
		return nil, &registry.Error{Kind: registry.Unavailable, Resource: k.Plural, Name: name}
	}
	obj, ok := o.of[k.Plural+"/"+name]
	if !ok {
		return nil, &registry.Error{Kind: registry.NotFound, Resource: k.Plural, Name: name}
	}
	if k.Namespaced {
		obj.SetNamespace("default")
	}
	obj.SetName(name)
	obj.SetResourceVersion("1")
	k.SetTypeMeta(obj)
	text, err := schema.Encode(obj)
	if err != nil {
		return nil, err
	}
	return registry.NewItem(k, text)
}

// bench is Volumes over objects, with a pod to mount volumes for.
type bench struct {
	*Volumes
	t       *testing.T
	objects map[string]schema.Object
	api     *objects
	pod     *corev1.Pod
	now     time.Time
	tokens  int
	node    *corev1.Node
	made    []string // local volumes whose directories were asked for
	warned  []string // reasons and messages
}

func newBench(t *testing.T, volumes ...corev1.Volume) *bench {
	b := &bench{t: t, objects: map[string]schema.Object{}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	b.api = &objects{of: b.objects}
	b.node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{corev1.LabelHostname: "n1"}}}
	b.Volumes = New(Config{
		Dir: t.TempDir(), API: b.api, Now: func() time.Time { return b.now },
		Node: func() *corev1.Node { return b.node },
		MakeLocal: func(pv *corev1.PersistentVolume) error {
			b.made = append(b.made, pv.Name)
			return os.MkdirAll(pv.Spec.Local.Path, 0o777)
		},
		Warn:  func(_ *corev1.Pod, reason, message string) { b.warned = append(b.warned, reason+": "+message) },
		Field: func(pod *corev1.Pod, path string) (string, error) { return path + " of " + pod.Name, nil },
		Token: func(_ context.Context, ns, sa string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
			b.tokens++
			req.Status.Token = "token of " + ns + "/" + sa
			req.Status.ExpirationTimestamp = metav1.NewTime(b.now.Add(time.Duration(*req.Spec.ExpirationSeconds) * time.Second))
			return req, nil
		},
	})
	b.pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "u1", Labels: map[string]string{"b": "2", "a": `"1"`}},
		Spec:       corev1.PodSpec{Volumes: volumes, ServiceAccountName: "default"},
	}
	t.Cleanup(b.remove)
	return b
}

// remove unmounts and removes the pod.
func (b *bench) remove() {
	b.t.Helper()
	if err := errors.Join(b.Unmount(context.Background(), "u1"), b.Remove(context.Background(), "u1")); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) mount(name string) string {
	b.t.Helper()
	m, err := b.Mount(b.t.Context(), b.pod)
	if err != nil {
		b.t.Fatal(err)
	}
	return m[name].Path
}

// tree reads what a container sees in dir: the files' contents by name, without the swap's own names.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	root, err := filepath.EvalSymlinks(filepath.Join(dir, dataLink))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name)) // through the links
		got[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func ptr[T any](v T) *T { return &v }

func configMap(name string) corev1.Volume {
	return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, DefaultMode: ptr(int32(0o640))}}}
}

func TestConfigMapIsRefreshedAsAWhole(t *testing.T) {
	b := newBench(t, configMap("c"))
	b.objects["configmaps/c"] = &corev1.ConfigMap{Data: map[string]string{"a": "1", "gone": "x"}, BinaryData: map[string][]byte{"b": {0, 1}}}
	dir := b.mount("v")
	if diff := cmp.Diff(map[string]string{"a": "1", "gone": "x", "b": "\x00\x01"}, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	before, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil {
		t.Fatal(err)
	}
	b.mount("v")
	if same, _ := os.Readlink(filepath.Join(dir, dataLink)); same != before {
		t.Error("equal content was written again")
	}
	b.objects["configmaps/c"] = &corev1.ConfigMap{Data: map[string]string{"a": "2", "new": "y"}}
	if err := b.Refresh(t.Context(), b.pod); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "2", "new": "y"}, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Lstat(filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that is gone still has its file: %v", err)
	}
	if info, _ := os.Stat(filepath.Join(dir, "a")); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want 0640", info.Mode())
	}
	delete(b.objects, "configmaps/c")
	if err := b.Refresh(t.Context(), b.pod); err == nil {
		t.Error("a refresh from an absent config map succeeded")
	}
	if got := tree(t, dir)["a"]; got != "2" {
		t.Errorf("the last content did not stay: %q", got)
	}
}

// TestLastContentIsMountedWithoutGateway: a kubelet that restarts goes on with the content that the pod has; a refresh says that it failed.
func TestLastContentIsMountedWithoutGateway(t *testing.T) {
	b := newBench(t, configMap("c"))
	b.objects["configmaps/c"] = &corev1.ConfigMap{Data: map[string]string{"a": "1"}}
	dir := b.mount("v")
	b.api.away = true
	restarted := New(b.cfg)
	if m, err := restarted.Mount(t.Context(), b.pod); err != nil || m["v"] != (Mounted{Path: dir, ReadOnly: true}) || tree(t, dir)["a"] != "1" {
		t.Errorf("mounted %+v, %v", m, err)
	}
	if err := restarted.Refresh(t.Context(), b.pod); !errors.Is(err, registry.Unavailable) {
		t.Errorf("the refresh ends with %v", err)
	}
	b.remove()
	if _, err := restarted.Mount(t.Context(), b.pod); !errors.Is(err, registry.Unavailable) {
		t.Errorf("a volume without content is mounted: %v", err)
	}
}

func TestSources(t *testing.T) {
	secret := &corev1.Secret{Data: map[string][]byte{"k": []byte("s")}}
	cases := []struct {
		name    string
		source  corev1.VolumeSource
		want    map[string]string
		wantErr string
	}{
		{"secret items", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s", Items: []corev1.KeyToPath{{Key: "k", Path: "deep/er/file"}}}},
			map[string]string{"deep/er/file": "s"}, ""},
		{"absent secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none"}},
			nil, `MountVolume.SetUp failed for volume "v" : secret "none" not found`},
		{"absent optional secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none", Optional: ptr(true)}}, map[string]string{}, ""},
		{"absent key", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s", Items: []corev1.KeyToPath{{Key: "x", Path: "x"}}}},
			nil, `references non-existent secret key: x in "s"`},
		{"a path that leaves", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s", Items: []corev1.KeyToPath{{Key: "k", Path: "../../out"}}}},
			nil, "invalid path: must not contain '..': ../../out"},
		{"downward", corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}},
			{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}},
			map[string]string{"labels": "a=\"\\\"1\\\"\"\nb=\"2\"", "name": "metadata.name of web"}, ""},
		{"projected", corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}}}}},
			map[string]string{"token": "token of default/default", "k": "s"}, ""},
		{"not supported", corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}, nil, "volume type is not supported"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, corev1.Volume{Name: "v", VolumeSource: tc.source})
			b.objects["secrets/s"] = secret
			m, err := b.Mount(t.Context(), b.pod)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, tree(t, m["v"].Path)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTokenIsRenewedNearItsEnd(t *testing.T) {
	b := newBench(t, corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr(int64(1000))}}}}}})
	b.mount("v")
	b.now = b.now.Add(799 * time.Second)
	b.mount("v")
	if b.tokens != 1 {
		t.Errorf("%d tokens were asked for before 80%% of the life, want 1", b.tokens)
	}
	b.now = b.now.Add(time.Second)
	b.mount("v")
	if b.tokens != 2 {
		t.Errorf("%d tokens at 80%% of the life, want 2", b.tokens)
	}
}

func TestEmptyDirInMemory(t *testing.T) {
	b := newBench(t,
		corev1.Volume{Name: "disk", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		corev1.Volume{Name: "mem", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: ptr(resource.MustParse("1Mi"))}}})
	b.pod.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr(int64(4242))}
	mem := b.mount("mem")
	if err := os.WriteFile(filepath.Join(mem, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.mount("mem") // as a restarted kubelet does
	if _, err := os.Stat(filepath.Join(mem, "kept")); err != nil {
		t.Errorf("mounting again lost a file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(mem, "big"), make([]byte, 2<<20), 0o600); err == nil {
		t.Error("2 MiB fit into a tmpfs of 1 MiB")
	}
	for _, name := range []string{"disk", "mem"} {
		info, err := os.Stat(b.mount(name))
		if err != nil || info.Mode() != fs.ModeDir|fs.ModeSetgid|0o777 {
			t.Errorf("%s: mode %v, %v; want drwxrwsrwx", name, info.Mode(), err)
		}
	}
	b.remove()
	if left, _ := b.Pods(); len(left) != 0 {
		t.Errorf("pods left: %v", left)
	}
}

func TestHostPathTypes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		kind corev1.HostPathType
		path string
		want string
	}{
		{corev1.HostPathDirectory, dir, ""},
		{corev1.HostPathDirectory, file, "hostPath type check failed: " + file + " is not a directory"},
		{corev1.HostPathFile, file, ""},
		{corev1.HostPathFile, dir + "/none", "is not a file"},
		{corev1.HostPathFileOrCreate, dir + "/made", ""},
		{corev1.HostPathDirectoryOrCreate, dir + "/new/dir", ""},
		{corev1.HostPathDirectoryOrCreate, file, "is not a directory"},
		{corev1.HostPathCharDev, "/dev/null", ""},
		{corev1.HostPathSocket, file, "is not a socket file"},
	}
	for _, tc := range cases {
		err := checkHostPath(&corev1.HostPathVolumeSource{Path: tc.path, Type: &tc.kind})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s %s: %v, want %q", tc.kind, tc.path, err, tc.want)
		}
	}
}
