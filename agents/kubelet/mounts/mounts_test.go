package mounts

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/env"
	"gantry/agents/kubelet/volumes"
)

func TestVolumeMountErrors(t *testing.T) {
	vars, err := env.Resolve(nil, &corev1.Container{Env: []corev1.EnvVar{{Name: "A", Value: "a"}, {Name: "UP", Value: ".."}, {Name: "ROOT", Value: "/x"}, {Name: "EMPTY"}}}, env.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	noPlace, notMade := errors.New("of the host"), fmt.Errorf("%w: of the host", volumes.ErrNotMade)
	for _, tc := range []struct {
		m    corev1.VolumeMount
		err  error // of the place
		want string
	}{
		{corev1.VolumeMount{Name: "none"}, nil, `cannot find volume "none" to mount into container "c"`},
		{corev1.VolumeMount{Name: "v", SubPathExpr: "$(A)/$(NONE)/$(EMPTY)/$(NONE)"}, nil, "missing value for EMPTY, NONE"},
		{corev1.VolumeMount{Name: "v", SubPathExpr: "$(A)/$(UP)"}, nil, "unable to provision SubPath `a/..`: must not contain '..'"},
		{corev1.VolumeMount{Name: "v", SubPathExpr: "$(ROOT)"}, nil, "error SubPath `/x` must not be an absolute path"},
		{corev1.VolumeMount{Name: "v", SubPath: "../x"}, nil, "unable to provision SubPath `../x`: must not contain '..'"},
		{corev1.VolumeMount{Name: "v", SubPath: "x"}, noPlace, `failed to prepare subPath for volumeMount "v" of container "c"`},
		{corev1.VolumeMount{Name: "v", SubPath: "x"}, notMade, `failed to create subPath directory for volumeMount "v" of container "c"`},
	} {
		c := &corev1.Container{Name: "c", VolumeMounts: []corev1.VolumeMount{tc.m}}
		_, err := VolumeMounts(c, map[string]volumes.Mounted{"v": {Path: "/v"}}, vars, func(volumes.Mounted, int, string) (string, error) { return "/place", tc.err })
		if err == nil || err.Error() != tc.want {
			t.Errorf("%+v: error %v, want %s", tc.m, err, tc.want)
		}
	}
}

func TestVolumeDevices(t *testing.T) {
	c := &corev1.Container{Name: "c", VolumeDevices: []corev1.VolumeDevice{{Name: "disk", DevicePath: "/dev/xvda"}}}
	mounted := map[string]volumes.Mounted{"disk": {Path: "/dev/sdb", Device: true, ReadOnly: true}}
	got, err := VolumeDevices(c, mounted)
	if want := (engine.Device{Source: "/dev/sdb", Target: "/dev/xvda", ReadOnly: true}); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	mounted["disk"] = volumes.Mounted{Path: "/data"}
	if _, err := VolumeDevices(c, mounted); err == nil || err.Error() != `cannot find volume "disk" to pass into container "c"` {
		t.Errorf("a directory as a device: %v", err)
	}
}
