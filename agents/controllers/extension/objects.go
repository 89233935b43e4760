package extension

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gantry/registry"
)

// pageSize is how many objects are listed at once.
const pageSize = "500"

// Get returns the metadata of an object; registry.NotFound: its server says that it does not exist. That there is no such server is another error.
func (c *Client) Get(ctx context.Context, r *Resource, namespace, name string) (*metav1.PartialObjectMetadata, error) {
	obj := &metav1.PartialObjectMetadata{}
	err := c.ask(ctx, obj, func(ctx context.Context) ([]byte, error) { return c.Gateway.GetMetadata(ctx, r.path(namespace, name)) })
	var e *registry.Error
	if errors.As(err, &e) && e.Kind == registry.NotFound && e.Name != name {
		return nil, fmt.Errorf("getting %s %s: %v", r.Name(), name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("getting %s %s: %w", r.Name(), name, err)
	}
	return r.typed(obj), nil
}

// List returns the metadata of all objects of a namespace, "" for everywhere, and the resourceVersion of the list.
func (c *Client) List(ctx context.Context, r *Resource, namespace string) (all []*metav1.PartialObjectMetadata, resourceVersion string, err error) {
	query := url.Values{"limit": {pageSize}}
	for {
		var page metav1.PartialObjectMetadataList
		err := c.ask(ctx, &page, func(ctx context.Context) ([]byte, error) {
			return c.Gateway.ListMetadata(ctx, r.path(namespace, "")+"?"+query.Encode())
		})
		if err != nil {
			return nil, "", fmt.Errorf("listing %s: %w", r.Name(), err)
		}
		for i := range page.Items {
			all = append(all, r.typed(&page.Items[i]))
		}
		if page.Continue == "" {
			return all, page.ResourceVersion, nil
		}
		query.Set("continue", page.Continue)
	}
}

// Empty deletes the objects of a namespace, in the background, and returns those that remain. What cannot be listed remains unseen, as in Kubernetes.
func (c *Client) Empty(ctx context.Context, r *Resource, namespace string) ([]*metav1.PartialObjectMetadata, error) {
	if !r.Can("list") {
		return nil, c.deleteAll(ctx, r, namespace)
	}
	all, _, err := c.List(ctx, r, namespace)
	if err != nil || len(all) == 0 {
		return nil, ignoreNotFound(err)
	}
	if r.Can("deletecollection") {
		err = c.deleteAll(ctx, r, namespace)
	} else {
		for _, obj := range all {
			if obj.DeletionTimestamp == nil && err == nil {
				err = ignoreNotFound(c.Delete(ctx, r, obj, metav1.DeletePropagationBackground))
			}
		}
	}
	if err != nil {
		return all, err
	}
	all, _, err = c.List(ctx, r, namespace)
	return all, ignoreNotFound(err)
}

func (c *Client) deleteAll(ctx context.Context, r *Resource, namespace string) error {
	if !r.Can("deletecollection") {
		return nil
	}
	background := metav1.DeletePropagationBackground
	err := c.delete(ctx, r.path(namespace, ""), metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil && !errors.Is(err, registry.NotFound) {
		return fmt.Errorf("deleting %s: %w", r.Name(), err)
	}
	return nil
}

// Delete deletes an object as it was seen.
func (c *Client) Delete(ctx context.Context, r *Resource, obj metav1.Object, propagation metav1.DeletionPropagation) error {
	uid, version := obj.GetUID(), obj.GetResourceVersion()
	o := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}}
	if propagation != "" {
		o.PropagationPolicy = &propagation
	}
	if err := c.delete(ctx, r.path(obj.GetNamespace(), obj.GetName()), o); err != nil {
		return fmt.Errorf("deleting %s %s: %w", r.Name(), obj.GetName(), err)
	}
	return nil
}

func (c *Client) delete(ctx context.Context, path string, o metav1.DeleteOptions) error {
	o.TypeMeta = metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return c.ask(ctx, nil, func(ctx context.Context) ([]byte, error) { return c.Gateway.DeletePath(ctx, path, body) })
}

// UpdateMeta writes the owners and finalizers of an object that was seen with its uid and resourceVersion.
func (c *Client) UpdateMeta(ctx context.Context, r *Resource, obj metav1.Object) error {
	type meta struct {
		UID             types.UID               `json:"uid"`
		ResourceVersion string                  `json:"resourceVersion"`
		OwnerReferences []metav1.OwnerReference `json:"ownerReferences"`
		Finalizers      []string                `json:"finalizers"`
	}
	body, err := json.Marshal(map[string]any{"metadata": meta{obj.GetUID(), obj.GetResourceVersion(), obj.GetOwnerReferences(), obj.GetFinalizers()}})
	if err != nil {
		return err
	}
	err = c.ask(ctx, nil, func(ctx context.Context) ([]byte, error) {
		return c.Gateway.PatchPath(ctx, r.path(obj.GetNamespace(), obj.GetName()), body)
	})
	if err != nil {
		return fmt.Errorf("updating %s %s: %w", r.Name(), obj.GetName(), err)
	}
	return nil
}

// ask sends a request and reads its answer into what is not nil.
func (c *Client) ask(ctx context.Context, answer any, send func(context.Context) ([]byte, error)) error {
	if c.Gateway == nil {
		return errNoGateway
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	data, err := send(ctx)
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// typed says which kind metadata is of, as its owner references do.
func (r *Resource) typed(obj *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	obj.TypeMeta = metav1.TypeMeta{APIVersion: r.GroupVersion().String(), Kind: r.Kind}
	return obj
}

func ignoreNotFound(err error) error {
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}
