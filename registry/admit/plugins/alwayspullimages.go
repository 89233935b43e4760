package plugins

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"gantry/registry/admit"
	"gantry/schema/pods"
)

// alwaysPullImages makes pods pull their images each time, so that only who has the credentials of an image runs it.
func alwaysPullImages() admit.Rule {
	return admit.Rule{
		Name: "AlwaysPullImages", Doc: "the images of pods are pulled each time",
		Wants: admit.Resource("pods", admit.Create, admit.Update), Mutate: pullImages, Validate: checkPull,
	}
}

func pullImages(_ context.Context, _ admit.Reader, q *admit.Request) error {
	pod := q.Object.(*corev1.Pod)
	if !hasNewImage(q, pod) {
		return nil
	}
	for _, c := range pods.Containers(&pod.Spec) {
		c.ImagePullPolicy = corev1.PullAlways
	}
	for i := range pod.Spec.Volumes {
		if v := pod.Spec.Volumes[i].Image; v != nil {
			v.PullPolicy = corev1.PullAlways
		}
	}
	return nil
}

// checkPull refuses the policies that webhooks have changed.
func checkPull(_ context.Context, _ admit.Reader, q *admit.Request) error {
	pod := q.Object.(*corev1.Pod)
	if !hasNewImage(q, pod) {
		return nil
	}
	var errs field.ErrorList
	check := func(path *field.Path, policy corev1.PullPolicy) {
		if policy != corev1.PullAlways {
			errs = append(errs, field.NotSupported(path, policy, []corev1.PullPolicy{corev1.PullAlways}))
		}
	}
	for path, c := range pods.ContainersWithPath(&pod.Spec, field.NewPath("spec")) {
		check(path.Child("imagePullPolicy"), c.ImagePullPolicy)
	}
	for i := range pod.Spec.Volumes {
		if v := pod.Spec.Volumes[i].Image; v != nil {
			check(field.NewPath("spec", "volumes").Index(i).Child("image", "pullPolicy"), v.PullPolicy)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &admit.Denied{Reason: errs.ToAggregate().Error()}
}

// hasNewImage tells whether a container has an image that none of the old pod has; it is so of a new pod.
func hasNewImage(q *admit.Request, pod *corev1.Pod) bool {
	old, ok := q.Old.(*corev1.Pod)
	if !ok {
		return true
	}
	images := map[string]bool{}
	for _, c := range pods.Containers(&old.Spec) {
		images[c.Image] = true
	}
	for _, c := range pods.Containers(&pod.Spec) {
		if !images[c.Image] {
			return true
		}
	}
	return false
}
