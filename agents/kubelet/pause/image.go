// Package pause makes the image that holds a pod's namespaces: one static program of 300 bytes, assembled here, so that no
// registry, no compiler and no file is needed to start a pod.
//
// The program waits for SIGTERM or SIGINT, ends with 0, and lets the kernel bury the orphans of a pod that
// shares its process namespace. Everything here is pure and deterministic.
package pause

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Reference names the image. Its tag changes when the program does, so an engine's older image is left alone.
const Reference = "gantry/pause:1"

// user is nobody: the program needs no right.
const user = "65535:65535"

// Image is the image for a processor ("amd64", "arm64") as a tar for the engine's load call.
func Image(arch string) ([]byte, error) {
	program, err := Program(arch)
	if err != nil {
		return nil, err
	}
	layer, err := archive(file{"pause", program, 0o755})
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": arch,
		"os":           "linux",
		"created":      "1970-01-01T00:00:00Z",
		"config":       map[string]any{"Entrypoint": []string{"/pause"}, "User": user, "Labels": map[string]string{"io.gantry.image": "pause"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
		"history":      []map[string]string{{"created": "1970-01-01T00:00:00Z", "created_by": "gantry"}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config":   digest(config) + ".json",
		"RepoTags": []string{Reference},
		"Layers":   []string{digest(layer) + "/layer.tar"},
	}})
	if err != nil {
		return nil, err
	}
	return archive(
		file{digest(config) + ".json", config, 0o644},
		file{digest(layer) + "/layer.tar", layer, 0o644},
		file{"manifest.json", manifest, 0o644},
	)
}

type file struct {
	name string
	data []byte
	mode int64
}

func archive(files ...file) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.data)), Mode: f.mode, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving: %w", err)
	}
	return b.Bytes(), nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
