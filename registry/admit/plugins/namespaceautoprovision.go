package plugins

import (
	"context"

	"gantry/registry/admit"
)

// namespaceAutoProvision creates the namespace of a new object.
func namespaceAutoProvision(o Options, _ []byte) (admit.Rule, error) {
	create := func(ctx context.Context, read admit.Reader, q *admit.Request) error {
		if q.DryRun || o.CreateNamespace == nil {
			return nil
		}
		found, err := read.Find(ctx, "", "namespaces", "", q.Namespace)
		if err == nil && found.Object == nil {
			err = o.CreateNamespace(ctx, q.Namespace)
		}
		if err != nil {
			return &admit.Denied{Reason: err.Error()}
		}
		return nil
	}
	return admit.Rule{
		Name: "NamespaceAutoProvision", Doc: "the namespace of a new object is created where it does not exist",
		Wants: wantsNamespaced(admit.Create), Mutate: create,
	}, nil
}
