package workload

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"

	"gantry/agents/controllers/controller"
	"gantry/schema/apps"
)

// rollbackTo returns the revision that the annotation of former API versions asks to go back to; 0 is the last one. false: it asks for
// nothing that can be read.
func rollbackTo(d *appsv1.Deployment) (revision int64, ok bool) {
	revision, err := strconv.ParseInt(d.Annotations[appsv1.DeprecatedRollbackTo], 10, 64)
	return revision, err == nil
}

// rollBack gives the deployment the template and the annotations of a revision's replica set, and takes the annotation away that asked for
// it. The rollout follows from the change of the template.
func (o *rollout) rollBack(to int64) {
	o.revise(true)
	c := o.seen.DeepCopy()
	delete(c.Annotations, appsv1.DeprecatedRollbackTo)
	plan := func(reason, format string, args ...any) {
		message := fmt.Sprintf(format, args...)
		o.plan = append(o.plan, controller.Action{Do: controller.Update, Kind: apps.Deployment, Object: c, Reason: message,
			Event: &controller.Event{Kind: apps.Deployment, About: o.seen, Warning: reason != "DeploymentRollback", Reason: reason, Message: message}})
	}
	if to == 0 {
		if to = o.lastRevision(); to == 0 {
			plan("DeploymentRollbackRevisionNotFound", "Unable to find last revision.")
			return
		}
	}
	all := o.all()
	i := slices.IndexFunc(all, func(rs *appsv1.ReplicaSet) bool { return revisionOf(rs) == to })
	switch {
	case i < 0:
		plan("DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to.")
	case equalTemplates(&all[i].Spec.Template, &c.Spec.Template):
		plan("DeploymentRollbackTemplateUnchanged", "The rollback revision contains the same template as current deployment %q", c.Name)
	default:
		c.Spec.Template = *withoutHash(&all[i].Spec.Template)
		maps.DeleteFunc(c.Annotations, func(k, _ string) bool { return !slices.Contains(notCopied, k) })
		for k, v := range all[i].Annotations {
			if !slices.Contains(notCopied, k) {
				c.Annotations[k] = v
			}
		}
		plan("DeploymentRollback", "Rolled back deployment %q to revision %d", c.Name, to)
	}
}

// lastRevision is the highest revision but one; 0: there is none.
func (o *rollout) lastRevision() int64 {
	var highest, last int64
	for _, rs := range o.all() {
		switch v := revisionOf(rs); {
		case v > highest:
			highest, last = v, highest
		case v > last:
			last = v
		}
	}
	return last
}
