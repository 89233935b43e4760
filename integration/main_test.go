package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gantry/integration/netns"
)

// inNamespace is the environment variable of the process that runs the tests in their network namespace.
const inNamespace = "GANTRY_TEST_NETNS"

// nodeIP is the address in the tests' network namespace: that of the node.
const nodeIP = netns.NodeIP

// gantry is the binary under test, image the name of the pods' image.
var gantry, image string

// TestMain runs the tests in a new network namespace, so that their bridges, routes and nftables are
// not the machine's. Containers run on the machine's Docker Engine, labelled with their node's name.
func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) == "" {
		os.Exit(netns.Run(inNamespace))
	}
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "setting up the integration tests:", err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	if err := netns.SetUp(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gantry-integration-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	gantry = filepath.Join(dir, "gantry")
	if err := build(gantry, "../agents"); err != nil {
		return 1, err
	}
	image = fmt.Sprintf("gantry-test:%d", os.Getpid())
	if err := buildImage(dir); err != nil {
		return 1, err
	}
	defer exec.Command("docker", "image", "rm", "-f", image).Run()
	return m.Run(), nil
}

func build(out, pkg string) error {
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// buildImage builds the pods' image: busybox as a shell, and testpod.
func buildImage(dir string) error {
	root := filepath.Join(dir, "image")
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return err
	}
	if err := build(filepath.Join(root, "bin", "testpod"), "./testpod"); err != nil {
		return err
	}
	script := `set -e
busybox=$(command -v busybox) && file=$busybox
cp "$file" "$0/bin/busybox"
for a in sh ls cat echo sleep env id stat hostname true false touch tar date head mkdir rm; do ln -s busybox "$0/bin/$a"; done
mkdir -p "$0/tmp" "$0/etc"
tar -C "$0" -c . | docker import --change 'ENV PATH=/bin' - "$1"`
	if text, err := exec.Command("bash", "-c", script, root, image).CombinedOutput(); err != nil {
		return fmt.Errorf("building the pods' image (is busybox-static installed and does Docker answer?): %w\n%s", err, text)
	}
	return nil
}
