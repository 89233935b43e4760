package apps

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/schema/internal/checktest"
)

func simpleStatefulSet() *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "default"}}
	labels := map[string]string{"app": "db"}
	s.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	s.Spec.Template.Labels = labels
	s.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: "pg", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}}}
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{"ReadWriteOnce"},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
	}}}
	StatefulSet.Default(s)
	return s
}

func TestStatefulSetDefaults(t *testing.T) {
	s := simpleStatefulSet()
	spec := s.Spec
	want := appsv1.StatefulSetUpdateStrategy{Type: "RollingUpdate", RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr(int32(0))}}
	if diff := cmp.Diff(want, spec.UpdateStrategy); diff != "" {
		t.Errorf("strategy (-want +got):\n%s", diff)
	}
	if r := spec.PersistentVolumeClaimRetentionPolicy; *spec.Replicas != 1 || *spec.RevisionHistoryLimit != 10 || spec.PodManagementPolicy != "OrderedReady" || r.WhenDeleted != "Retain" || r.WhenScaled != "Retain" {
		t.Errorf("got %+v", spec)
	}
	if c := spec.VolumeClaimTemplates[0]; c.Kind != "PersistentVolumeClaim" || c.APIVersion != "v1" || c.Status.Phase != "Pending" || *c.Spec.VolumeMode != "Filesystem" {
		t.Errorf("claim %+v", c)
	}
	s.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = ptr(intstr.FromInt32(1))
	old := s.DeepCopy()
	StatefulSet.PrepareCreate(s)
	if s.Generation != 1 || s.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable != nil {
		t.Errorf("created %+v", s.Spec.UpdateStrategy.RollingUpdate)
	}
	updated := old.DeepCopy()
	StatefulSet.PrepareUpdate(updated, old)
	if updated.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable == nil || updated.Generation != old.Generation {
		t.Error("an update drops what is in use")
	}
}

func TestStatefulSetErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   func(*appsv1.StatefulSet)
		want []string
	}{
		{"valid", func(*appsv1.StatefulSet) {}, nil},
		{"policies", func(s *appsv1.StatefulSet) {
			s.Spec.PodManagementPolicy = "x"
			s.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: "OnDelete", RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{}}
			s.Spec.PersistentVolumeClaimRetentionPolicy.WhenScaled = "Keep"
		}, []string{
			`spec.podManagementPolicy: Invalid value: "x": must be 'OrderedReady' or 'Parallel'`,
			`spec.updateStrategy.rollingUpdate: Invalid value: {"Partition":0,"MaxUnavailable":null}: only allowed for updateStrategy 'RollingUpdate'`,
			`spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": supported values: "Retain", "Delete"`,
		}},
		{"strategy", func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.Type = "x"
			s.Spec.UpdateStrategy.RollingUpdate = nil
		},
			[]string{`spec.updateStrategy: Invalid value: {"Type":"x","RollingUpdate":null}: must be 'RollingUpdate' or 'OnDelete'`}},
		{"rolling", func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr(int32(-1)), MaxUnavailable: ptr(intstr.FromString("0%"))}
		}, []string{
			"spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
			`spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "0%": cannot be 0`,
		}},
		{"numbers", func(s *appsv1.StatefulSet) {
			s.Spec.Replicas, s.Spec.MinReadySeconds, s.Spec.Ordinals = ptr(int32(-1)), -1, &appsv1.StatefulSetOrdinals{Start: -1}
			s.Spec.ServiceName = "A"
		}, []string{
			"spec.replicas: Invalid value: -1: must be greater than or equal to 0",
			"spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
			"spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
			`spec.serviceName: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
		}},
		{"claim", func(s *appsv1.StatefulSet) { s.Spec.VolumeClaimTemplates[0].Spec.AccessModes = nil },
			[]string{"spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required"}},
		{"a volume without a claim", func(s *appsv1.StatefulSet) { s.Spec.VolumeClaimTemplates = nil },
			[]string{`spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"`}},
		{"the controller sets the hostname", func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Hostname = "A_B" }, nil},
		{"no selector", func(s *appsv1.StatefulSet) { s.Spec.Selector = &metav1.LabelSelector{} }, []string{"spec.selector: Invalid value: {}: empty selector is invalid for statefulset"}},
		{"ends", func(s *appsv1.StatefulSet) {
			s.Spec.Template.Spec.RestartPolicy, s.Spec.Template.Spec.ActiveDeadlineSeconds = "Never", ptr(int64(1))
		}, []string{
			`spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"`,
			"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in StatefulSet is not Supported",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := simpleStatefulSet()
			tt.in(s)
			if diff := cmp.Diff(tt.want, checktest.Texts(StatefulSet.Validate(s))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if wrong := StatefulSet.ValidateName("a.b", false); len(wrong) == 0 {
		t.Error("a.b is taken as a name")
	}
}

func TestStatefulSetUpdates(t *testing.T) {
	const frozen = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
	for _, tt := range []struct {
		name    string
		old, in func(*appsv1.StatefulSet)
		want    []string
	}{
		{"replicas and template", nil, func(s *appsv1.StatefulSet) {
			s.Spec.Replicas = ptr(int32(3))
			s.Spec.Template.Spec.Containers[0].Image = "pg:2"
		}, nil},
		{"service name", nil, func(s *appsv1.StatefulSet) { s.Spec.ServiceName = "A" }, []string{frozen}},
		{"claims", nil, func(s *appsv1.StatefulSet) { s.Spec.VolumeClaimTemplates[0].Spec.AccessModes = nil }, []string{frozen}},
		{"bad template", nil, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Name = "" }, []string{"spec.template.spec.containers[0].name: Required value"}},
		{"the old one was as bad", func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Name = "" }, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Name = "" }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, old := simpleStatefulSet(), simpleStatefulSet()
			if tt.in(s); tt.old != nil {
				tt.old(old)
			}
			if diff := cmp.Diff(tt.want, checktest.Texts(StatefulSet.ValidateUpdate(s, old))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatefulSetWarnings(t *testing.T) {
	s := simpleStatefulSet()
	s.Spec.RevisionHistoryLimit = ptr(int32(-1))
	s.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests["storage"] = resource.MustParse("1500m")
	want := []string{
		`spec.volumeClaimTemplates[0].resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer`,
		"spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended",
	}
	if diff := cmp.Diff(want, StatefulSet.Warnings(s, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func simpleDaemonSet() *appsv1.DaemonSet {
	d := simpleDeployment()
	ds := &appsv1.DaemonSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.DaemonSetSpec{Selector: d.Spec.Selector, Template: d.Spec.Template}}
	DaemonSet.Default(ds)
	return ds
}

func TestDaemonSetErrors(t *testing.T) {
	rolling := func(unavailable, surge intstr.IntOrString) func(*appsv1.DaemonSet) {
		return func(ds *appsv1.DaemonSet) {
			ds.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &unavailable, MaxSurge: &surge}
		}
	}
	for _, tt := range []struct {
		name string
		in   func(*appsv1.DaemonSet)
		want []string
	}{
		{"valid", func(*appsv1.DaemonSet) {}, nil},
		{"no selector", func(ds *appsv1.DaemonSet) { ds.Spec.Selector = nil }, []string{"spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`"}},
		{"empty selector", func(ds *appsv1.DaemonSet) { ds.Spec.Selector = &metav1.LabelSelector{} }, []string{"spec.selector: Invalid value: {}: empty selector is invalid for daemonset"}},
		{"ends", func(ds *appsv1.DaemonSet) {
			ds.Spec.Template.Spec.RestartPolicy, ds.Spec.Template.Spec.ActiveDeadlineSeconds = "OnFailure", ptr(int64(1))
		}, []string{
			`spec.template.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"`,
			"spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
		}},
		{"numbers", func(ds *appsv1.DaemonSet) {
			ds.Spec.MinReadySeconds, ds.Spec.RevisionHistoryLimit = -1, ptr(int32(-1))
			ds.Annotations = map[string]string{generationKey: "x"}
		}, []string{
			"spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
			`metadata.annotations[deprecated.daemonset.template.generation]: Invalid value: "x": must be an integer`,
			"spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
		}},
		{"strategy", func(ds *appsv1.DaemonSet) { ds.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: "x"} },
			[]string{`spec.updateStrategy: Unsupported value: {"Type":"x","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete"`}},
		{"both", rolling(intstr.FromInt32(1), intstr.FromInt32(1)), []string{"spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"}},
		{"none", rolling(intstr.FromInt32(0), intstr.FromString("0%")), []string{"spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"}},
		{"too much", rolling(intstr.FromInt32(0), intstr.FromString("101%")), []string{`spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "101%": must not be greater than 100%`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ds := simpleDaemonSet()
			tt.in(ds)
			if diff := cmp.Diff(tt.want, checktest.Texts(DaemonSet.Validate(ds))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	ds := simpleDaemonSet()
	ds.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
	want := []string{
		`spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: field is immutable`,
		"spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
	}
	if diff := cmp.Diff(want, checktest.Texts(DaemonSet.ValidateUpdate(ds, simpleDaemonSet()))); diff != "" {
		t.Errorf("update (-want +got):\n%s", diff)
	}
}

// TestDaemonSetGenerations checks that the annotation counts changes of the template, whatever a client writes into it.
func TestDaemonSetGenerations(t *testing.T) {
	old := simpleDaemonSet()
	if got := old.Annotations[generationKey]; got != "0" {
		t.Errorf("default %q", got)
	}
	DaemonSet.PrepareCreate(old)
	for _, tt := range []struct {
		name       string
		in         func(*appsv1.DaemonSet)
		template   string
		generation int64
	}{
		{"nothing", func(*appsv1.DaemonSet) {}, "1", 1},
		{"claimed", func(ds *appsv1.DaemonSet) { ds.Annotations = map[string]string{generationKey: "9"} }, "1", 1},
		{"removed", func(ds *appsv1.DaemonSet) { ds.Annotations = nil }, "1", 1},
		{"spec", func(ds *appsv1.DaemonSet) { ds.Spec.MinReadySeconds = 5 }, "1", 2},
		{"template", func(ds *appsv1.DaemonSet) { ds.Spec.Template.Spec.Containers[0].Image = "x" }, "2", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ds := old.DeepCopy()
			tt.in(ds)
			DaemonSet.PrepareUpdate(ds, old)
			if ds.Annotations[generationKey] != tt.template || ds.Generation != tt.generation {
				t.Errorf("template %s, generation %d", ds.Annotations[generationKey], ds.Generation)
			}
			ds.Annotations = nil
			DaemonSet.Subresource("status").Prepare(ds, old)
			if ds.Annotations[generationKey] != "1" {
				t.Errorf("of a status: %v", ds.Annotations)
			}
		})
	}
}

func TestControllerRevisionErrors(t *testing.T) {
	revision := func(n int64, data string) *appsv1.ControllerRevision {
		r := &appsv1.ControllerRevision{Revision: n}
		if data != "" {
			r.Data.Raw = []byte(data)
		}
		return r
	}
	for _, tt := range []struct {
		in   *appsv1.ControllerRevision
		want []string
	}{
		{revision(0, `{"a":1}`), nil},
		{revision(-1, ""), []string{"revision: Invalid value: -1: must be greater than or equal to 0", "data: Required value: data is mandatory"}},
		{revision(1, "null"), []string{"data: Required value: data is mandatory"}},
		{revision(1, "[]"), []string{"data: Required value: data must be a valid JSON object"}},
		{revision(1, "{"), []string{`data: Invalid value: "<value omitted>": error parsing data: unexpected end of JSON input`}},
	} {
		if diff := cmp.Diff(tt.want, checktest.Texts(ControllerRevision.Validate(tt.in))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in.Data.Raw, diff)
		}
	}
	want := []string{`data: Invalid value: {"a":2}: field is immutable`}
	if diff := cmp.Diff(want, checktest.Texts(ControllerRevision.ValidateUpdate(revision(1, `{"a":2}`), revision(1, `{"a":1}`)))); diff != "" {
		t.Errorf("update (-want +got):\n%s", diff)
	}
}

func TestSetStatusErrors(t *testing.T) {
	s, old := simpleStatefulSet(), simpleStatefulSet()
	old.Status.CollisionCount = ptr(int32(1))
	s.Status = appsv1.StatefulSetStatus{Replicas: 1, ReadyReplicas: 1, CurrentReplicas: 2, AvailableReplicas: 2, UpdatedReplicas: -1}
	ds, oldDS := simpleDaemonSet(), simpleDaemonSet()
	oldDS.Status.CollisionCount = ptr(int32(1))
	ds.Status.NumberMisscheduled = -1
	for _, tt := range []struct {
		got  field.ErrorList
		want []string
	}{
		{StatefulSet.Subresource("status").Validate(s, old), []string{
			"status.updatedReplicas: Invalid value: -1: must be greater than or equal to 0",
			"status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas",
			"status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas",
			"status.availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas",
			"status.collisionCount: Invalid value: 0: cannot be decremented",
		}},
		{DaemonSet.Subresource("status").Validate(ds, oldDS), []string{
			"status.numberMisscheduled: Invalid value: -1: must be greater than or equal to 0",
			"status.collisionCount: Invalid value: 0: cannot be decremented",
		}},
	} {
		if diff := cmp.Diff(tt.want, checktest.Texts(tt.got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
