package admit_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"gantry/schema/core"
)

func amounts(cpu, memory string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for name, text := range map[corev1.ResourceName]string{"cpu": cpu, "memory": memory} {
		if text != "" {
			l[name] = resource.MustParse(text)
		}
	}
	return l
}

func TestLimitDefaults(t *testing.T) {
	w := cluster()
	w["limitranges/default/a"] = &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
		{Type: "Container", DefaultRequest: amounts("100m", "1Mi"), Default: amounts("500m", "")},
		{Type: "Pod", Default: amounts("7", "")},
	}}}
	p := newPod(func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = amounts("300m", "")
		p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "i"}}
	})
	if err := create(t, w, core.Pod, p); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want corev1.ResourceList
	}{
		{"requests", p.Spec.Containers[0].Resources.Requests, amounts("300m", "1Mi")},
		{"limits", p.Spec.Containers[0].Resources.Limits, amounts("500m", "")},
		{"requests of init containers", p.Spec.InitContainers[0].Resources.Requests, amounts("100m", "1Mi")},
		{"limits of init containers", p.Spec.InitContainers[0].Resources.Limits, amounts("500m", "")},
	} {
		if fmt.Sprint(tt.got.Cpu(), tt.got.Memory(), len(tt.got)) != fmt.Sprint(tt.want.Cpu(), tt.want.Memory(), len(tt.want)) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	want := fmt.Sprintf("LimitRanger plugin set: memory request for container %s; cpu limit for container %[1]s; cpu, memory request for init container i; cpu limit for init container i", p.Spec.Containers[0].Name)
	if got := p.Annotations["kubernetes.io/limit-ranger"]; got != want {
		t.Errorf("annotation\n%s\nwant\n%s", got, want)
	}
}

func TestLimits(t *testing.T) {
	item := func(kind corev1.LimitType, f func(*corev1.LimitRangeItem)) *corev1.LimitRange {
		i := corev1.LimitRangeItem{Type: kind}
		f(&i)
		return &corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{i}}}
	}
	min := func(l corev1.ResourceList) func(*corev1.LimitRangeItem) {
		return func(i *corev1.LimitRangeItem) { i.Min = l }
	}
	max := func(l corev1.ResourceList) func(*corev1.LimitRangeItem) {
		return func(i *corev1.LimitRangeItem) { i.Max = l }
	}
	ratio := func(l corev1.ResourceList) func(*corev1.LimitRangeItem) {
		return func(i *corev1.LimitRangeItem) { i.MaxLimitRequestRatio = l }
	}
	for _, tt := range []struct {
		name              string
		limits            *corev1.LimitRange
		requests, allowed corev1.ResourceList
		want              string
	}{
		{"within", item("Container", min(amounts("100m", ""))), amounts("100m", ""), amounts("1", ""), "<nil>"},
		{"no request", item("Container", min(amounts("100m", ""))), nil, nil, "minimum cpu usage per Container is 100m.  No request is specified"},
		{"little request", item("Container", min(amounts("100m", ""))), amounts("99m", ""), nil, "minimum cpu usage per Container is 100m, but request is 99m"},
		{"no limit", item("Container", max(amounts("", "1Gi"))), nil, nil, "maximum memory usage per Container is 1Gi.  No limit is specified"},
		{"large limit", item("Container", max(amounts("", "1Gi"))), nil, amounts("", "2Gi"), "maximum memory usage per Container is 1Gi, but limit is 2Gi"},
		{"two faults", item("Container", max(amounts("1", "1Gi"))), nil, amounts("2", "2Gi"),
			"[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 1Gi, but limit is 2Gi]"},
		{"ratio", item("Container", ratio(amounts("2", ""))), amounts("1", ""), amounts("3", ""),
			"cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"},
		{"ratio of nothing", item("Container", ratio(amounts("2", ""))), nil, amounts("3", ""),
			"cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"},
		{"the pod's sum", item("Pod", max(amounts("5", ""))), amounts("1", ""), amounts("3", ""), "maximum cpu usage per Pod is 5, but limit is 6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := cluster()
			w["limitranges/default/a"] = tt.limits
			p := newPod(func(p *corev1.Pod) {
				p.Spec.Containers, p.Spec.InitContainers = p.Spec.Containers[:1], nil
				p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: tt.requests, Limits: tt.allowed}
				if tt.limits.Spec.Limits[0].Type == "Pod" {
					p.Spec.Containers = append(p.Spec.Containers, p.Spec.Containers[0])
				}
			})
			if err := create(t, w, core.Pod, p); fmt.Sprint(err) != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	w := cluster()
	w["limitranges/default/a"] = item("PersistentVolumeClaim", func(i *corev1.LimitRangeItem) {
		i.Max = corev1.ResourceList{"storage": resource.MustParse("1Gi")}
	})
	claim := &corev1.PersistentVolumeClaim{}
	claim.Namespace, claim.Name = "default", "c"
	claim.Spec.Resources.Requests = corev1.ResourceList{"storage": resource.MustParse("2Gi")}
	const want = "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
	if err := create(t, w, core.PersistentVolumeClaim, claim); fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
