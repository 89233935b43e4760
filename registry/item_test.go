package registry

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/registry/history"
	"gantry/registry/store"
	"gantry/schema"
	"gantry/schema/core"
)

const benchPod = `{"metadata":{"name":"web-5d5c6c7b8-abcde","generateName":"web-5d5c6c7b8-","namespace":"default","uid":"0f8fad5b-d9cb-469f-a165-70867728950e","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"app":"web","pod-template-hash":"5d5c6c7b8"},"annotations":{"a":"b"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-5d5c6c7b8","uid":"u","controller":true,"blockOwnerDeletion":true}]},"spec":{"volumes":[{"name":"v","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}}],"defaultMode":420}}],"containers":[{"name":"c","image":"nginx:1","ports":[{"containerPort":80,"protocol":"TCP"}],"env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"resources":{"limits":{"cpu":"100m","memory":"64Mi"},"requests":{"cpu":"50m","memory":"32Mi"}},"volumeMounts":[{"name":"v","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],"livenessProbe":{"httpGet":{"path":"/","port":80}}}],"nodeName":"n1","tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}]},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:00Z"},{"type":"Initialized","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-01T00:00:00Z"}],"hostIP":"10.0.0.1","podIP":"10.244.0.5","containerStatuses":[{"name":"c","state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}},"lastState":{},"ready":true,"restartCount":0,"image":"nginx:1","imageID":"x","containerID":"docker://x"}]}}`

// BenchmarkItemFrom is what a change of another process costs: in the form that the registry writes, and in another.
func BenchmarkItemFrom(b *testing.B) {
	r := New(Config{Store: store.NewFake(), Kinds: schema.NewKinds(schema.NewSet(core.Pod))})
	kv := &store.KV{Key: "/registry/pods/default/web-5d5c6c7b8-abcde", Value: []byte(benchPod), ModRevision: 7}
	_, form, err := decodeStored(core.Pod, "default/web-5d5c6c7b8-abcde", kv.Value)
	if err != nil {
		b.Fatal(err)
	}
	for name, value := range map[string][]byte{"Canonical": form, "Handwritten": []byte(benchPod)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			kv := &store.KV{Key: kv.Key, Value: value, ModRevision: 7}
			for b.Loop() {
				if _, err := r.itemFrom(core.Pod, kv); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestStoredFormIsServedForm checks that a value that the registry wrote is read without normalizing it.
func TestStoredFormIsServedForm(t *testing.T) {
	s := store.NewFake()
	r := New(Config{Store: s, Kinds: schema.NewKinds(schema.NewSet(core.Namespace)), Agent: "test"})
	ctx := testContext(t)
	if _, err := r.Create(ctx, core.Namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	kv, _, err := s.Get(ctx, Key(core.Namespace, "", "n"), 0)
	if err != nil {
		t.Fatal(err)
	}
	obj, form, err := decodeStored(core.Namespace, "n", history.Strip(kv.Value))
	if err != nil || string(form) != string(history.Strip(kv.Value)) {
		t.Errorf("decodeStored: %v, %s, %v", obj, form, err)
	}
}
