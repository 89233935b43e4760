package registry

import (
	"context"
	"errors"

	"gantry/registry/safely"
	"gantry/schema"
)

// deleters is how many objects of a collection are deleted at a time.
const deleters = 8

// DeleteCollection deletes every object that l selects and returns them as they were. One that was deleted or made
// again meanwhile is left alone.
func (r *Registry) DeleteCollection(ctx context.Context, k *schema.Kind, namespace string, o DeleteOptions, l ListOptions) ([]*Item, error) {
	list, err := r.List(ctx, k, namespace, l)
	if err != nil {
		return nil, err
	}
	g, gctx := safely.WithContext(ctx)
	g.SetLimit(deleters)
	for _, it := range list.Items {
		g.Go(func() error {
			one := o
			if one.UID == "" {
				one.UID = it.uid
			}
			_, _, err := r.Delete(gctx, k, it.Namespace, it.Name, one)
			remade := o.UID == "" && o.ResourceVersion == "" && errors.Is(err, Conflict)
			if errors.Is(err, NotFound) || remade {
				return nil
			}
			return err
		})
	}
	err = g.Wait()
	return list.Items, err
}
