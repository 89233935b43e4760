// Package enginetest tests engines: one suite for Docker and the fake, and the image that it runs in both.
package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/image"

	"gantry/agents/kubelet/engine"
)

// BuildImage builds a FROM-scratch image with the program ./pod as /pod.
func BuildImage(ctx context.Context, ref string) error {
	dir, err := os.MkdirTemp("", "enginetest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "pod")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "gantry/agents/kubelet/engine/enginetest/pod")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the test image's program: %w: %s", err, out)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		return err
	}
	layer, err := rootFS(program)
	if err != nil {
		return err
	}
	d, err := engine.Open("")
	if err != nil {
		return err
	}
	defer d.Close()
	r, err := d.ImageImport(ctx, image.ImportSource{Source: layer, SourceName: "-"}, ref, image.ImportOptions{Changes: []string{`ENTRYPOINT ["/pod"]`}})
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

func rootFS(program []byte) (io.Reader, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{{Name: "pod", Mode: 0o755, Size: int64(len(program))}, {Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o777}} {
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if h.Name == "pod" {
			_, _ = w.Write(program)
		}
	}
	return &b, w.Close()
}

// RemoveImage removes what BuildImage built.
func RemoveImage(ctx context.Context, ref string) {
	d, err := engine.Open("")
	if err != nil {
		return
	}
	defer d.Close()
	_, _ = d.ImageRemove(ctx, ref, image.RemoveOptions{Force: true})
}

// Program is ./pod for a fake engine: run, stubborn, exit and echo.
func Program(p *engine.Process) int {
	if len(p.Args) == 0 {
		return 64
	}
	switch p.Args[0] {
	case "run":
		_, _ = fmt.Fprintln(p.Out, "up", strings.Join(p.Args[1:], " "))
		select {
		case <-p.Stopped:
		case <-p.Killed:
		}
		_, _ = fmt.Fprintln(p.Out, "down")
		return 0
	case "stubborn":
		_, _ = fmt.Fprintln(p.Out, "up")
		<-p.Killed
		return 0
	case "exit":
		code, err := strconv.Atoi(p.Args[1])
		if err != nil {
			return 64
		}
		_, _ = fmt.Fprintln(p.Out, "exit", code)
		return code
	case "echo":
		_, _ = fmt.Fprintln(p.Err, "echoing")
		_, _ = io.Copy(p.Out, p.In)
		return 0
	}
	return 64
}
