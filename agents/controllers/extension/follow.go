package extension

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// How long Follow waits before it lists again.
const (
	relistFirst = time.Second
	relistMost  = time.Minute
)

// Follow lists and watches the metadata of a resource until ctx is done, and calls f for each change: old is nil for a new object, current for one that
// is gone. After what the server does not answer it lists again; what is gone only because it cannot be asked is none of the changes.
func (c *Client) Follow(ctx context.Context, r *Resource, failed func(error), f func(old, current *metav1.PartialObjectMetadata)) {
	known := map[types.UID]*metav1.PartialObjectMetadata{}
	wait := relistFirst
	for {
		began := time.Now()
		err := c.listAndWatch(ctx, r, known, f)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			failed(err)
		}
		if wait = min(2*wait, relistMost); err == nil || time.Since(began) > relistMost {
			wait = relistFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// listAndWatch returns after the end of a watch.
func (c *Client) listAndWatch(ctx context.Context, r *Resource, known map[types.UID]*metav1.PartialObjectMetadata, f func(old, current *metav1.PartialObjectMetadata)) error {
	all, version, err := c.List(ctx, r, "")
	if err != nil {
		return err
	}
	set := func(uid types.UID, current *metav1.PartialObjectMetadata) {
		old := known[uid]
		if current == nil {
			delete(known, uid)
		} else {
			known[uid] = current
		}
		if old != nil || current != nil {
			f(old, current)
		}
	}
	there := map[types.UID]bool{}
	for _, obj := range all {
		there[obj.UID] = true
		if old := known[obj.UID]; old == nil || old.ResourceVersion != obj.ResourceVersion {
			set(obj.UID, obj)
		}
	}
	for uid := range known {
		if !there[uid] {
			set(uid, nil)
		}
	}
	query := url.Values{"watch": {"true"}, "resourceVersion": {version}, "allowWatchBookmarks": {"true"}}
	stream, err := c.Gateway.WatchMetadata(ctx, r.path("", "")+"?"+query.Encode())
	if err != nil {
		return fmt.Errorf("watching %s: %w", r.Name(), err)
	}
	defer stream.Close()
	for events := json.NewDecoder(stream); ; {
		var e struct {
			Type   string                        `json:"type"`
			Object *metav1.PartialObjectMetadata `json:"object"`
		}
		if err := events.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("watching %s: %w", r.Name(), err)
		}
		switch {
		case e.Object == nil || e.Type == "ERROR":
			return nil
		case e.Type == "DELETED":
			set(e.Object.UID, nil)
		case e.Type == "ADDED", e.Type == "MODIFIED":
			set(e.Object.UID, r.typed(e.Object))
		}
	}
}
