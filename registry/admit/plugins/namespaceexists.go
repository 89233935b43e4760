package plugins

import (
	"context"
	"fmt"

	"gantry/registry/admit"
	"gantry/schema"
)

// namespaceExists refuses writes in a namespace that does not exist; NamespaceLifecycle does so for new objects.
func namespaceExists() admit.Rule {
	return admit.Rule{
		Name: "NamespaceExists", Doc: "objects are written in namespaces that exist",
		Wants: wantsNamespaced(admit.Create, admit.Update, admit.Delete), Validate: checkNamespaceExists,
	}
}

// wantsNamespaced is the Wants of a rule on the objects in namespaces.
func wantsNamespaced(operations ...admit.Operation) func(admit.Operation, *schema.Kind, string) bool {
	return func(o admit.Operation, k *schema.Kind, _ string) bool {
		for _, one := range operations {
			if o == one {
				return k.Namespaced
			}
		}
		return false
	}
}

func checkNamespaceExists(ctx context.Context, read admit.Reader, q *admit.Request) error {
	_, err := namespaceOf(ctx, read, q.Namespace)
	return err
}

// namespaceOf is a namespace; an error where it does not exist.
func namespaceOf(ctx context.Context, read admit.Reader, name string) (schema.Object, error) {
	found, err := read.Find(ctx, "", "namespaces", "", name)
	if err == nil && found.Object == nil {
		found, err = read.Latest(ctx, "", "namespaces", "", name)
	}
	if err != nil {
		return nil, fmt.Errorf("looking up namespace %s: %w", name, err)
	}
	if found.Object == nil {
		return nil, &admit.Missing{Resource: "namespaces", Kind: "Namespace", Name: name}
	}
	return found.Object, nil
}
