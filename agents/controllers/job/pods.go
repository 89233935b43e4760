package job

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"gantry/agents/controllers/controller"
	"gantry/agents/controllers/workload"
	"gantry/schema/batch"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// maxPodChanges bounds how many pods one reconciliation creates or deletes.
const maxPodChanges = 500

// completionIndexEnv is the variable of the containers of an indexed job.
const completionIndexEnv = "JOB_COMPLETION_INDEX"

// planPods decides which pods to create or to delete, and adds that to the counts of the status as if it was done. after is when a pod can be
// created that waits for its back-off.
func (e *evaluation) planPods() (plan []controller.Action, after time.Duration) {
	switch {
	case e.finish != nil:
		return e.deletePods(e.active, "the job ends: "+e.finish.Reason, false), 0
	case e.job.DeletionTimestamp != nil:
		return nil, 0
	case isSuspended(e.job):
		return e.deletePods(e.surplus(len(e.active)), "the job is suspended", true), 0
	}
	wanted := e.wantedActive()
	if surplus := e.surplus(max(0, len(e.active)-wanted)); len(surplus) > 0 {
		return e.deletePods(surplus[:min(len(surplus), maxPodChanges)], fmt.Sprintf("%d of %d active pods", len(e.active), wanted), true), 0
	}
	missing := wanted - len(e.active)
	if replacesFailedOnly(e.job) {
		missing -= int(*e.status.Terminating)
	}
	if missing <= 0 {
		return nil, 0
	}
	if !e.perIndex() && e.backoff > 0 {
		return nil, e.backoff
	}
	missing = min(missing, maxPodChanges)
	reason := fmt.Sprintf("%d of %d active pods, %d succeeded", len(e.active), wanted, e.succeeded)
	if !isIndexed(e.job) {
		return e.createPods(make([]int, missing), reason), 0
	}
	now, after := e.indexesToCreate(missing)
	return e.createPods(now, reason), after
}

// wantedActive is how many pods are to be active.
func (e *evaluation) wantedActive() int {
	parallelism := max(0, int(ptr.Deref(e.job.Spec.Parallelism, 1)))
	if e.job.Spec.Completions != nil {
		return max(0, min(e.completions()-e.succeeded, parallelism))
	}
	if e.succeeded > 0 {
		return len(e.active) // one has succeeded: the others end by themselves
	}
	return parallelism
}

// indexesToCreate are up to n indexes that need a pod now. after is when the first of those that wait for their back-off does, where
// none does now.
func (e *evaluation) indexesToCreate(n int) (now []int, after time.Duration) {
	taken := e.succeededIndexes.with(indexesOf(e.active)).merge(e.failedIndexes)
	if replacesFailedOnly(e.job) {
		taken = taken.with(indexesOf(terminating(e.pods)))
	}
	for _, i := range taken.firstMissing(n, e.completions()) {
		wait := time.Duration(0)
		if e.perIndex() {
			wait = indexBackoffLeft(e.lastFailed[i], e.now)
		}
		if wait == 0 {
			now = append(now, i)
		} else if after == 0 || wait < after {
			after = wait
		}
	}
	if len(now) > 0 {
		after = 0 // the new pods change the job, and that is reconciled
	}
	return now, after
}

func terminating(podList []*corev1.Pod) (out []*corev1.Pod) {
	for _, p := range podList {
		if p.DeletionTimestamp != nil && !pods.IsTerminal(p) {
			out = append(out, p)
		}
	}
	return out
}

// surplus are at least n active pods that are not wanted: of an indexed job those without an index, with one that is not wanted, and
// all but one of each index; then those that lose least.
func (e *evaluation) surplus(n int) []*corev1.Pod {
	ranked := workload.RankForDeletion(e.active, e.now)
	if !isIndexed(e.job) {
		return ranked[:n]
	}
	byIndex := map[int]int{}
	for _, p := range ranked {
		byIndex[indexOf(p)]++
	}
	var out, left []*corev1.Pod
	for _, p := range ranked {
		i := indexOf(p)
		if !e.validIndex(i) || byIndex[i] > 1 {
			out = append(out, p)
			byIndex[i]--
		} else {
			left = append(left, p)
		}
	}
	return append(out, left[:max(0, n-len(out))]...)
}

// deletePods deletes pods; those that are not to be counted lose the finalizer first.
func (e *evaluation) deletePods(podList []*corev1.Pod, reason string, uncounted bool) (plan []controller.Action) {
	if uncounted {
		for _, p := range podList {
			if isTracked(p) {
				plan = append(plan, removeFinalizer(p, reason))
			}
		}
	}
	for _, p := range podList {
		plan = append(plan, controller.Action{Do: controller.Delete, Kind: core.Pod, Object: p, Bulk: true, Reason: reason,
			Event: &controller.Event{Kind: batch.Job, About: e.job, Reason: "SuccessfulDelete", Message: "Deleted pod: " + p.Name}})
		e.status.Active--
		*e.status.Terminating++
		if pods.IsReady(p) {
			*e.status.Ready--
		}
	}
	return plan
}

func removeFinalizer(p *corev1.Pod, reason string) controller.Action {
	return controller.Action{Do: controller.RemoveFinalizer, Kind: core.Pod, Object: p, Finalizer: batchv1.JobTrackingFinalizer, Bulk: true, Quiet: true, Reason: reason}
}

// createPods creates a pod for each of a list: of indexes, where the job is indexed.
func (e *evaluation) createPods(list []int, reason string) []controller.Action {
	seed := controller.NewNameSeed(e.job)
	taken := map[string]bool{}
	for _, p := range slices.SortedFunc(slices.Values(e.pods), func(a, b *corev1.Pod) int { return cmp.Compare(a.UID, b.UID) }) {
		seed.Add(string(p.UID))
		taken[p.Name] = true
	}
	// A pod that is gone changed the status. The minute gets past a foreign pod that took a name.
	seed.Add(e.job.ResourceVersion, e.now.Truncate(time.Minute).UTC().String())
	var plan []controller.Action
	add := func(p *corev1.Pod) {
		plan = append(plan, controller.Action{Do: controller.Create, Kind: core.Pod, Object: p, Bulk: true, Reason: reason,
			Event: &controller.Event{Kind: batch.Job, About: e.job, Reason: "SuccessfulCreate", Message: "Created pod: " + p.Name}})
	}
	if isIndexed(e.job) {
		for _, i := range list {
			prefix := indexPrefix(e.job.Name, i)
			add(e.indexedPod(i, seed.Names(prefix, 1, taken)[0], prefix+"-"))
		}
	} else {
		for _, name := range seed.Names(e.job.Name, len(list), taken) {
			add(e.newPod(name, e.job.Name+"-"))
		}
	}
	e.status.Active += int32(len(list))
	return plan
}

// indexPrefix is what names of an index's pods begin with: the job's name, cut where the names would be longer than 63 characters.
func indexPrefix(name string, i int) string {
	const longest = 57
	suffix := "-" + strconv.Itoa(i)
	return name[:min(len(name), longest-len(suffix))] + suffix
}

func (e *evaluation) newPod(name, generateName string) *corev1.Pod {
	t := &e.job.Spec.Template
	finalizers := t.Finalizers
	if !slices.Contains(finalizers, batchv1.JobTrackingFinalizer) {
		finalizers = append(slices.Clone(finalizers), batchv1.JobTrackingFinalizer)
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, GenerateName: generateName, Namespace: e.job.Namespace, Labels: t.Labels, Annotations: t.Annotations,
			Finalizers: finalizers, OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(e.job, batch.Job.GVK())},
		},
		Spec: t.Spec,
	}
}

func (e *evaluation) indexedPod(i int, name, generateName string) *corev1.Pod {
	p := e.newPod(name, generateName)
	p.Labels, p.Annotations = cloneOrNew(p.Labels), cloneOrNew(p.Annotations)
	p.Labels[batchv1.JobCompletionIndexAnnotation] = strconv.Itoa(i)
	p.Annotations[batchv1.JobCompletionIndexAnnotation] = strconv.Itoa(i)
	if e.perIndex() {
		e.addFailureCounts(p, e.lastFailed[i])
	}
	p.Spec.Hostname = fmt.Sprintf("%s-%d", e.job.Name, i)
	p.Spec.InitContainers = withIndexEnv(p.Spec.InitContainers)
	p.Spec.Containers = withIndexEnv(p.Spec.Containers)
	return p
}

func cloneOrNew(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}

// addFailureCounts tells p how many pods of its index failed before it. replaced is the last of them; nil: none.
func (e *evaluation) addFailureCounts(p, replaced *corev1.Pod) {
	n, ignored := 0, 0
	if replaced != nil {
		n, ignored = failureCount(replaced), ignoredFailureCount(replaced)
		if judge(e.job.Spec.PodFailurePolicy, replaced).ignored {
			ignored++
		} else {
			n++
		}
	}
	p.Annotations[batchv1.JobIndexFailureCountAnnotation] = strconv.Itoa(n)
	if ignored > 0 {
		p.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation] = strconv.Itoa(ignored)
	}
}

// withIndexEnv are containers with the variable of the completion index, where they have none of that name.
func withIndexEnv(containers []corev1.Container) []corev1.Container {
	out := slices.Clone(containers)
	for i, c := range out {
		if slices.ContainsFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == completionIndexEnv }) {
			continue
		}
		out[i].Env = append(slices.Clone(c.Env), corev1.EnvVar{Name: completionIndexEnv, ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: fmt.Sprintf("metadata.labels['%s']", batchv1.JobCompletionIndexAnnotation)}}})
	}
	return out
}
