package apply_test

import (
	"context"
	"testing"

	"gantry/schema"
	"gantry/schema/apply"
	"gantry/schema/apps"
)

func BenchmarkApplyDeployment(b *testing.B) {
	types := &apply.Types{}
	w := apply.Write{Kind: apps.Deployment, Manager: "a"}
	live, err := types.Apply(context.Background(), w, nil, []byte(deployment), false)
	if err != nil {
		b.Fatal(err)
	}
	live.SetUID("0f8fad5b-d9cb-469f-a165-70867728950e")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := types.Apply(context.Background(), w, live, []byte(deployment), false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateDeployment(b *testing.B) {
	types := &apply.Types{}
	live, err := types.Apply(context.Background(), apply.Write{Kind: apps.Deployment, Manager: "a"}, nil, []byte(deployment), false)
	if err != nil {
		b.Fatal(err)
	}
	live.SetUID("0f8fad5b-d9cb-469f-a165-70867728950e")
	b.ReportAllocs()
	for b.Loop() {
		next := live.DeepCopyObject().(schema.Object)
		next.SetLabels(map[string]string{"x": "y"})
		if err := types.Update(context.Background(), apply.Write{Kind: apps.Deployment, Manager: "u"}, live, next); err != nil {
			b.Fatal(err)
		}
	}
}
