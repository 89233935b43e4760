package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	corev1 "k8s.io/api/core/v1"
)

// ParseImage completes an image's name with its tag, in Docker's short form.
func ParseImage(name string) (ref string, err error) {
	n, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	return reference.FamiliarString(reference.TagNameOnly(n)), nil
}

// Image is Engine's.
func (d *Docker) Image(ctx context.Context, ref string) (*Image, error) {
	in, err := d.api.ImageInspect(ctx, ref)
	if err != nil {
		return nil, classify(err)
	}
	i := &Image{ID: in.ID, Ref: ref, Size: in.Size, Digests: in.RepoDigests, Tags: in.RepoTags}
	if s := in.GraphDriver; s.Data["UpperDir"] != "" {
		i.Layers = append(i.Layers, s.Data["UpperDir"])
		i.Layers = append(i.Layers, strings.FieldsFunc(s.Data["LowerDir"], func(r rune) bool { return r == ':' })...)
	}
	if in.Config != nil {
		i.User = in.Config.User
	}
	return i, nil
}

// Images is Engine's.
func (d *Docker) Images(ctx context.Context) ([]Image, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := d.api.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return nil, classify(err)
	}
	all := make([]Image, len(list))
	for i, s := range list {
		all[i] = Image{ID: s.ID, Size: s.Size, Digests: s.RepoDigests, Tags: s.RepoTags}
	}
	return all, nil
}

// Pull is Engine's.
func (d *Docker) Pull(ctx context.Context, ref string, secrets []*corev1.Secret) error {
	var faults []error
	for _, a := range append(imageAuths(ref, secrets), registry.AuthConfig{}) {
		var o image.PullOptions
		if a != (registry.AuthConfig{}) {
			text, err := registry.EncodeAuthConfig(a)
			if err != nil {
				return err
			}
			o.RegistryAuth = text
		}
		err := d.pull(ctx, ref, o)
		if err == nil {
			return nil
		}
		faults = append(faults, err)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return classify(faults[0])
}

// pull reads the engine's progress to its end: an error of the registry comes in it.
//
//	{"status":"Downloading",...}
//	{"errorDetail":{"message":"..."},"error":"..."}
func (d *Docker) pull(ctx context.Context, ref string, o image.PullOptions) error {
	progress, err := d.api.ImagePull(ctx, ref, o)
	if err != nil {
		return err
	}
	defer progress.Close()
	lines := json.NewDecoder(progress)
	for {
		var line struct {
			Error string `json:"error"`
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the engine's progress: %w", err)
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}
