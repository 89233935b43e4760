package clientgo

import (
	"fmt"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/features"
	featuretesting "k8s.io/client-go/features/testing"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

var configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")

// TestInformers follows config maps by informers of each sort, over JSON and protobuf, with watch lists and with lists.
func TestInformers(t *testing.T) {
	sorts := []struct {
		name string
		make func(*testing.T, *rest.Config, string) (cache.SharedIndexInformer, func(<-chan struct{}), func())
	}{
		{"shared", sharedInformer},
		{"metadata", metadataInformer},
		{"dynamic", dynamicInformer},
	}
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		for _, watchList := range []bool{true, false} {
			for _, s := range sorts {
				t.Run(fmt.Sprintf("%s/%s/watchList=%t", s.name, contentType, watchList), func(t *testing.T) {
					featuretesting.SetFeatureDuringTest(t, features.WatchListClient, watchList)
					followMaps(t, contentType, s.make)
				})
			}
		}
	}
}

func followMaps(t *testing.T, contentType string, newInformer func(*testing.T, *rest.Config, string) (cache.SharedIndexInformer, func(<-chan struct{}), func())) {
	set, namespace := plane.Clientset(t), plane.Namespace(t)
	before := makeMap(t, set, namespace, "before")
	config := rest.CopyConfig(plane.Config)
	if config.ContentType = contentType; contentType != runtime.ContentTypeJSON {
		config.AcceptContentTypes = contentType + "," + runtime.ContentTypeJSON
	}
	informer, start, shutdown := newInformer(t, config, namespace)
	var added, updated, deleted atomic.Int32
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { added.Add(1) }, UpdateFunc: func(any, any) { updated.Add(1) }, DeleteFunc: func(any) { deleted.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	start(stop)
	defer shutdown()
	defer close(stop)
	until(t, "the first list", informer.HasSynced)
	if _, ok, _ := informer.GetStore().GetByKey(namespace + "/before"); !ok {
		t.Error("an object from before the informer's start is not in its store")
	}
	makeMap(t, set, namespace, "after")
	before.Labels["made"] = "changed"
	if _, err := set.CoreV1().ConfigMaps(namespace).Update(t.Context(), before, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := set.CoreV1().ConfigMaps(namespace).Delete(t.Context(), "after", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the deletion", func() bool { return deleted.Load() == 1 })
	if added.Load() != 3 || updated.Load() != 1 { // kube-root-ca.crt, before, after
		t.Errorf("%d added and %d updated, want 3 and 1", added.Load(), updated.Load())
	}
	obj, _, err := informer.GetStore().GetByKey(namespace + "/before")
	if err != nil {
		t.Fatal(err)
	}
	if got := obj.(metav1.Object).GetLabels()["made"]; got != "changed" {
		t.Errorf("the store has the label %q", got)
	}
}

func sharedInformer(t *testing.T, config *rest.Config, namespace string) (cache.SharedIndexInformer, func(<-chan struct{}), func()) {
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(set, 0, informers.WithNamespace(namespace))
	return factory.Core().V1().ConfigMaps().Informer(), factory.Start, factory.Shutdown
}

func metadataInformer(t *testing.T, config *rest.Config, namespace string) (cache.SharedIndexInformer, func(<-chan struct{}), func()) {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	factory := metadatainformer.NewFilteredSharedInformerFactory(client, 0, namespace, nil)
	return factory.ForResource(configMaps).Informer(), factory.Start, factory.Shutdown
}

func dynamicInformer(t *testing.T, config *rest.Config, namespace string) (cache.SharedIndexInformer, func(<-chan struct{}), func()) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, namespace, nil)
	return factory.ForResource(configMaps).Informer(), factory.Start, factory.Shutdown
}

// TestInformersOfEveryKind starts informers of all built-in kinds that client-go knows and that the server lists.
func TestInformersOfEveryKind(t *testing.T) {
	set := plane.Clientset(t)
	lists, err := set.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(set, 0)
	synced := map[string]cache.InformerSynced{}
	for _, l := range lists {
		for _, r := range l.APIResources {
			if !contains(r.Verbs, "watch") {
				continue
			}
			gv := mustGroupVersion(t, l.GroupVersion)
			informer, err := factory.ForResource(gv.WithResource(r.Name))
			if err != nil {
				t.Logf("client-go has no informer of %s %s", l.GroupVersion, r.Name)
				continue
			}
			synced[gv.Group+"/"+r.Name] = informer.Informer().HasSynced
		}
	}
	if len(synced) < 50 {
		t.Errorf("only %d kinds", len(synced))
	}
	stop := make(chan struct{})
	factory.Start(stop)
	defer factory.Shutdown()
	defer close(stop)
	for name, done := range synced {
		until(t, name, done)
	}
	nodes, err := factory.Core().V1().Nodes().Lister().List(labels.Everything())
	if err != nil || len(nodes) != 1 {
		t.Errorf("nodes: %v, %v", nodes, err)
	}
}
