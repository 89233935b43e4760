package explain

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gantry/agents/admin/snapshot"
	"gantry/schema"
	"gantry/schema/core"
)

// finalizerOwners say who removes the finalizers of Kubernetes, and when.
var finalizerOwners = map[string]string{
	metav1.FinalizerDeleteDependents:              "the garbage collector, once the objects that it owns are gone",
	metav1.FinalizerOrphanDependents:              "the garbage collector, once the objects that it owns are orphans",
	"batch.kubernetes.io/job-tracking":            "the job controller, once the pod is counted",
	"kubernetes.io/pvc-protection":                "the controller pvcprotection, once no pod uses the claim",
	"kubernetes.io/pv-protection":                 "the controller pvprotection, once the volume is not bound",
	"service.kubernetes.io/load-balancer-cleanup": "the controller of load balancers, once the load balancer is gone",
}

// deletion adds what the deletion of an object waits for, and returns whether it is being deleted.
func (x *explainer) deletion(depth int, e *snapshot.Entry) bool {
	at := e.Object.GetDeletionTimestamp()
	if at == nil {
		return false
	}
	x.add(depth, false, e, "%s is being deleted", x.title(e))
	x.finalizers(depth+1, e)
	return true
}

// finalizers adds who has to remove each finalizer of an object that is being deleted.
func (x *explainer) finalizers(depth int, e *snapshot.Entry) {
	for _, f := range e.Object.GetFinalizers() {
		owner, known := finalizerOwners[f]
		if !known {
			owner = "whoever added it; Gantry does not know it"
			if domain, _, ok := strings.Cut(f, "/"); ok {
				owner = "the controller of " + domain + ", which is not part of Gantry; is it running?"
			}
		}
		x.add(depth, false, e, "finalizer %s waits for %s", f, owner)
		switch f {
		case metav1.FinalizerDeleteDependents:
			x.dependents(depth+1, e)
		case "kubernetes.io/pvc-protection":
			x.claimUsers(depth+1, e)
		}
	}
}

// dependents adds the objects that block the deletion of their owner.
func (x *explainer) dependents(depth int, owner *snapshot.Entry) {
	var blocking []*snapshot.Entry
	for _, k := range x.Kinds.All {
		blocking = append(blocking, x.dependentsOf(k, owner)...)
	}
	x.some(depth, blocking, func(depth int, e *snapshot.Entry) {
		if !x.deletion(depth, e) {
			x.add(depth, false, e, "%s is owned by it, and is not being deleted yet", x.title(e))
		}
	})
}

func (x *explainer) dependentsOf(k *schema.Kind, owner *snapshot.Entry) (all []*snapshot.Entry) {
	for _, e := range x.All(k, owner.Object.GetNamespace()) {
		for _, ref := range e.Object.GetOwnerReferences() {
			if ref.UID == owner.Object.GetUID() && ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion {
				all = append(all, e)
				break
			}
		}
	}
	return all
}

// podDeletion adds what the deletion of a pod waits for.
func (x *explainer) podDeletion(depth int, e *snapshot.Entry) {
	p := e.Object.(*corev1.Pod)
	end := p.DeletionTimestamp.Time // the registry sets it to the end of the grace period
	grace := time.Duration(0)
	if p.DeletionGracePeriodSeconds != nil {
		grace = time.Duration(*p.DeletionGracePeriodSeconds) * time.Second
	}
	if left := end.Sub(x.now); left > 0 {
		x.add(depth, false, e, "%s is being deleted; its grace period of %s ends in %s", x.title(e), grace, left.Truncate(time.Second))
	} else {
		x.add(depth, false, e, "%s is being deleted; its grace period of %s ended %s ago", x.title(e), grace, x.since(end))
	}
	x.finalizers(depth+1, e)
	if p.Spec.NodeName == "" {
		return
	}
	n := x.Get(core.Node, "", p.Spec.NodeName)
	if n == nil {
		x.add(depth+1, false, nil, "its node %s does not exist: the controller podgc deletes the pod", p.Spec.NodeName)
		x.agentMissing(depth+2, "controllers", "does that")
		return
	}
	if !x.nodeHealthy(depth+1, n) {
		x.add(depth+1, false, nil, "no other process may say that its containers have ended: "+
			"`kubectl delete pod %s -n %s --force --grace-period=0` gives it up", p.Name, p.Namespace)
		return
	}
	var running []string
	for i := range p.Status.ContainerStatuses {
		if c := &p.Status.ContainerStatuses[i]; c.State.Running != nil {
			running = append(running, c.Name)
		}
	}
	if len(running) > 0 {
		x.add(depth+1, false, e, "the kubelet of %s is ending containers %s", p.Spec.NodeName, strings.Join(running, ", "))
	} else if len(p.Finalizers) == 0 {
		x.add(depth+1, false, e, "no container runs any more: the kubelet of %s has to confirm the end", p.Spec.NodeName)
	}
}
