package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const patience = 30 * time.Second

// await waits for a channel's value or end.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waiting for %s: it did not come", what)
	}
	return v
}

func tokenVolume() corev1.Volume {
	return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}}}}
}

// After a restart of the kubelet containers of one pod start at the same time, each with volumes to mount: the files are
// there all the time, and one token does for all.
func TestMountsOfOnePodTakeTurns(t *testing.T) {
	b := newBench(t, tokenVolume())
	file := filepath.Join(b.mount("v"), "token") // by the kubelet before
	var mu sync.Mutex
	running, most, asked := 0, 0, 0
	cfg := b.cfg
	cfg.Token = func(ctx context.Context, _, _ string, req *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
		mu.Lock()
		running++
		asked++
		most = max(most, running)
		req.Status = authenticationv1.TokenRequestStatus{Token: fmt.Sprint("token ", asked), ExpirationTimestamp: metav1.NewTime(b.now.Add(time.Hour))}
		mu.Unlock()
		_, _ = os.ReadFile(file) // time for the others
		mu.Lock()
		running--
		mu.Unlock()
		return req, nil
	}
	for range 20 {
		asked = 0
		b.Volumes = New(cfg)
		var mounts, readers sync.WaitGroup
		end := make(chan struct{})
		readers.Go(func() {
			for {
				if text, err := os.ReadFile(file); err != nil || len(text) == 0 {
					t.Errorf("reading the token meanwhile: %q, %v", text, err)
					return
				}
				select {
				case <-end:
					return
				default:
				}
			}
		})
		for range 4 {
			mounts.Go(func() {
				if _, err := b.Mount(t.Context(), b.pod); err != nil {
					t.Error(err)
				}
			})
		}
		mounts.Go(func() {
			if err := b.Refresh(t.Context(), b.pod); err != nil {
				t.Error(err)
			}
		})
		mounts.Wait()
		close(end)
		readers.Wait()
		if most != 1 || asked != 1 {
			t.Fatalf("%d tokens were asked for, %d at a time; want 1", asked, most)
		}
	}
}

func secretVolume() corev1.Volume {
	return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}}
}

// A refresh that waits for the gateway does not hold up the pod's end, nor does it write secrets after it.
func TestUnmountEndsARefresh(t *testing.T) {
	b := newBench(t, secretVolume())
	b.objects["secrets/s"] = &corev1.Secret{Data: map[string][]byte{"k": []byte("s")}}
	b.mount("v")
	asks := make(chan struct{})
	b.api.asked = func(ctx context.Context) {
		close(asks)
		<-ctx.Done() // a gateway that is away
	}
	refreshed := make(chan error)
	go func() { refreshed <- b.Refresh(t.Context(), b.pod) }()
	await(t, asks, "the refresh's question")
	unmounted := make(chan error)
	go func() {
		unmounted <- errors.Join(b.Unmount(t.Context(), "u1"), b.Remove(t.Context(), "u1"))
	}()
	if err := await(t, unmounted, "the pod's removal"); err != nil {
		t.Error(err)
	}
	if err := await(t, refreshed, "the refresh's end"); err != nil {
		t.Errorf("the refresh that was ended: %v", err)
	}
	b.checkRefreshDoesNothing()
}

func (b *bench) checkRefreshDoesNothing() {
	b.t.Helper()
	b.api.asked = func(context.Context) { b.t.Error("a refresh after the unmount reads secrets") }
	if err := b.Refresh(b.t.Context(), b.pod); err != nil {
		b.t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(b.cfg.Dir, "u1")); !errors.Is(err, os.ErrNotExist) {
		b.t.Errorf("the pod's directory is there: %v", err)
	}
	if len(b.pods) != 0 {
		b.t.Errorf("%d pods are remembered", len(b.pods))
	}
}

func TestRefreshAfterUnmountDoesNothing(t *testing.T) {
	b := newBench(t, secretVolume())
	b.objects["secrets/s"] = &corev1.Secret{Data: map[string][]byte{"k": []byte("s")}}
	dir := b.mount("v")
	if err := b.Unmount(t.Context(), "u1"); err != nil {
		t.Fatal(err)
	}
	b.objects["secrets/s"] = &corev1.Secret{Data: map[string][]byte{"k": []byte("newer")}}
	if err := b.Refresh(t.Context(), b.pod); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir)["k"]; got != "s" { // not yet removed
		t.Errorf("the refresh wrote %q", got)
	}
	b.remove()
	b.checkRefreshDoesNothing()
	b.Volumes = New(b.cfg) // a restarted kubelet
	b.checkRefreshDoesNothing()
	b.api.asked = nil
	if got := tree(t, b.mount("v"))["k"]; got != "newer" {
		t.Errorf("mounted again: %q", got)
	}
	if err := b.Refresh(t.Context(), b.pod); err != nil {
		t.Error(err)
	}
}

// Everything at once, for the race detector: the objects too are for one caller at a time. In the end nothing is left.
func TestVolumeWorkOfOnePodAtOnce(t *testing.T) {
	b := newBench(t, secretVolume(), corev1.Volume{Name: "mem", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}})
	b.objects["secrets/s"] = &corev1.Secret{Data: map[string][]byte{"k": []byte("s")}}
	volume := t.TempDir()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				// Errors are those of a pod that is being unmounted.
				_, _ = b.Mount(t.Context(), b.pod)
				_, _ = b.MountSubPath(t.Context(), b.pod, SubPath{Volume: "v", Root: volume, Container: "c", Index: i, Path: "x"})
				_ = b.Refresh(t.Context(), b.pod)
				if err := b.Unmount(t.Context(), "u1"); err != nil {
					t.Error(err)
				}
				if i == 0 {
					_ = b.Remove(t.Context(), "u1")
				}
			}
		})
	}
	wg.Wait()
	b.remove()
	b.checkRefreshDoesNothing()
	if points := mountPoints(t, b.cfg.Dir); len(points) != 0 {
		t.Errorf("still mounted: %q", points)
	}
	if _, err := os.Stat(volume + "/x"); err != nil {
		t.Errorf("the volume's own directory went: %v", err)
	}
}
