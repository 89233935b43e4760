package engine

import (
	"testing"

	"github.com/docker/docker/api/types/container"
)

func TestContainersWithHostileLabelsAreNotOurs(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../../x", "a/b", "/x"} {
		for _, label := range []string{LabelPodNamespace, LabelPodName, LabelPodUID, LabelContainerName} {
			labels := map[string]string{LabelNode: "n", LabelRestartCount: "0", LabelPodNamespace: "ns", LabelPodName: "p", LabelPodUID: "uid", LabelContainerName: "c"}
			labels[label] = name
			in := container.InspectResponse{
				ContainerJSONBase: &container.ContainerJSONBase{State: &container.State{}, HostConfig: &container.HostConfig{}},
				Config:            &container.Config{Labels: labels},
			}
			if _, ok := parseContainer(in, "n"); ok {
				t.Errorf("a container whose %s is %q counts as ours", label, name)
			}
		}
	}
}
