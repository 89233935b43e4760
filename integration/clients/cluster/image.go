package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// makeImage makes the image of the pods, which goes with the cluster.
func (c *Cluster) makeImage() error {
	c.Image = fmt.Sprintf("gantry-clients:%d", os.Getpid())
	script := `set -e
mkdir -p "$0/bin" "$0/tmp" "$0/etc"
cp "$1" "$0/bin/testpod"
cp "$(command -v busybox)" "$0/bin/busybox"
for a in sh ls cat echo sleep env id stat hostname test true false touch tar date head mkdir rm; do ln -s busybox "$0/bin/$a"; done
tar -C "$0" -c . | docker import --change 'ENV PATH=/bin' - "$2"`
	if out, err := exec.Command("bash", "-c", script, filepath.Join(c.Dir, "image"), Program("testpod"), c.Image).CombinedOutput(); err != nil {
		return fmt.Errorf("building the pods' image (is busybox-static installed and does Docker answer?): %w\n%s", err, out)
	}
	c.stops = append(c.stops, func() { _ = exec.Command("docker", "image", "rm", "-f", c.Image).Run() })
	return nil
}

// ScratchImage makes an image of nothing but a built program, which is its entry point, and returns its name. The image goes with the cluster.
func (c *Cluster) ScratchImage(program string) (string, error) {
	name := fmt.Sprintf("gantry-clients-%s:%d", program, os.Getpid())
	script := `tar -C "$0" -c "$1" | docker import --change "ENTRYPOINT [\"/$1\"]" - "$2"`
	if out, err := exec.Command("bash", "-o", "pipefail", "-c", script, Program(""), program, name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the image of %s: %w\n%s", program, err, out)
	}
	c.stops = append(c.stops, func() { _ = exec.Command("docker", "image", "rm", "-f", name).Run() })
	return name, nil
}
