package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"

	"gantry/registry"
	"gantry/schema/core"
)

// nodeAuthorizer lets a node's agents do what running the node's pods takes, and no more:
//   - read services, endpoints and endpoint slices; create, read and change its own Node;
//   - get, list and watch the pods bound to it, change their status and delete them (restrict.go sees to that);
//   - read secrets and config maps, by name, that a pod bound to it refers to; get tokens for its pods' accounts;
//   - keep its lease in kube-node-lease; write events; ask for reviews of who calls it.
type nodeAuthorizer struct{ reg *registry.Registry }

func (n *nodeAuthorizer) authorize(ctx context.Context, a attributes) (decision, string, error) {
	if !slices.Contains(a.user.Groups, groupNodes) {
		return noOpinion, "", nil
	}
	if !isNode(a.user) {
		return noOpinion, fmt.Sprintf("unknown node for user %q", a.user.Username), nil
	}
	if !a.resource {
		return noOpinion, "", nil
	}
	node := nodeOf(a.user)
	switch a.group + "/" + a.plural {
	case "/secrets", "/configmaps":
		return n.referenced(ctx, node, a)
	case "/serviceaccounts":
		return n.account(ctx, node, a)
	case "coordination.k8s.io/leases":
		return ownLease(node, a)
	case "/nodes":
		return ownNode(node, a)
	case "/pods":
		return n.pods(ctx, node, a)
	}
	if slices.Contains(nodeRules[a.group+"/"+a.plural+"/"+a.subresource], a.verb) {
		return allowed, "", nil
	}
	return noOpinion, "", nil
}

// nodeRules are the verbs that every node has on "group/plural/subresource".
var nodeRules = map[string][]string{
	"/services/":                                      {"get", "list", "watch"},
	"/endpoints/":                                     {"get", "list", "watch"},
	"/events/":                                        {"create", "update", "patch"},
	"events.k8s.io/events/":                           {"create", "update", "patch"},
	"/namespaces/":                                    {"get", "list", "watch"},
	"discovery.k8s.io/endpointslices/":                {"get", "list", "watch"},
	"authentication.k8s.io/tokenreviews/":             {"create"},
	"authorization.k8s.io/subjectaccessreviews/":      {"create"},
	"authorization.k8s.io/localsubjectaccessreviews/": {"create"},
}

// ownNode lets a node read and write the Node of its own name. A create's name is in its body: restrict.go looks.
func ownNode(node string, a attributes) (decision, string, error) {
	switch {
	case a.verb == "create" && a.subresource == "":
		return allowed, "", nil
	case a.name == "":
		return noOpinion, fmt.Sprintf("node '%s' cannot read all nodes, only its own Node object", node), nil
	case a.name != node:
		return noOpinion, fmt.Sprintf("node '%s' cannot read '%s', only its own Node object", node, a.name), nil
	case a.subresource == "" && slices.Contains([]string{"get", "list", "watch", "update", "patch"}, a.verb),
		a.subresource == "status" && (a.verb == "update" || a.verb == "patch"):
		return allowed, "", nil
	}
	return noOpinion, "", nil
}

const ownLeaseNamespace = "kube-node-lease"

// ownLease lets a node keep the lease of its own name.
func ownLease(node string, a attributes) (decision, string, error) {
	switch {
	case a.subresource != "" || !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, a.verb):
		return noOpinion, "can only get, create, update, patch, or delete a node lease", nil
	case a.namespace != ownLeaseNamespace:
		return noOpinion, fmt.Sprintf("can only access leases in the %q system namespace", ownLeaseNamespace), nil
	case a.verb != "create" && a.name != node: // a create's name is in its body: restrict.go looks
		return noOpinion, "can only access node lease with the same name as the requesting node", nil
	}
	return allowed, "", nil
}

// referenced lets a node read an object that a pod bound to it names. A name without a namespace is every namespace's object of
// that name: no pod names those.
func (n *nodeAuthorizer) referenced(ctx context.Context, node string, a attributes) (decision, string, error) {
	switch {
	case !slices.Contains([]string{"get", "list", "watch"}, a.verb):
		return noOpinion, "can only read resources of this type", nil
	case a.subresource != "":
		return noOpinion, "cannot read subresource", nil
	case a.namespace == "":
		return noOpinion, "can only read namespaced object of this type", nil
	case a.name == "":
		return noOpinion, "No Object name found", nil
	}
	return n.related(ctx, node, a, func(pod *corev1.Pod) bool {
		if a.plural == "secrets" {
			return slices.Contains(secretsOf(pod), a.name)
		}
		return slices.Contains(configMapsOf(pod), a.name)
	})
}

// account lets a node read the accounts of its pods and get tokens for them.
func (n *nodeAuthorizer) account(ctx context.Context, node string, a attributes) (decision, string, error) {
	switch {
	case a.namespace == "":
		return noOpinion, "can only read namespaced object of this type", nil
	case a.verb == "get" && a.subresource == "" && a.name != "":
	case a.verb != "create" || a.name == "":
		return noOpinion, "can only create tokens for individual service accounts", nil
	case a.subresource != "token":
		return noOpinion, "can only create token subresource of serviceaccount", nil
	}
	return n.related(ctx, node, a, func(pod *corev1.Pod) bool { return pod.Spec.ServiceAccountName == a.name })
}

// pods lets a node read the pods bound to it, one of them or those that it selects by their node, and write what restrict.go
// judges.
func (n *nodeAuthorizer) pods(ctx context.Context, node string, a attributes) (decision, string, error) {
	switch a.subresource + "/" + a.verb {
	case "/create", "/delete", "status/update", "status/patch", "eviction/create":
		return allowed, "", nil
	case "/get":
		return n.pod(ctx, node, a)
	case "/list", "/watch":
		if s, err := fields.ParseSelector(a.fields); err == nil {
			if name, ok := s.RequiresExactMatch("spec.nodeName"); ok && name == node {
				return allowed, "", nil
			}
		}
		return noOpinion, "can only list/watch pods with spec.nodeName field selector", nil
	}
	return noOpinion, "", nil
}

// pod lets a node read one pod that is bound to it.
func (n *nodeAuthorizer) pod(ctx context.Context, node string, a attributes) (decision, string, error) {
	if a.namespace == "" || a.name == "" {
		return noOpinion, "No Object name found", nil
	}
	for _, revision := range []string{"0", ""} {
		item, err := n.reg.Get(ctx, core.Pod, a.namespace, a.name, revision)
		if err == nil && item.Field("spec.nodeName") == node || errors.Is(err, registry.NotFound) && revision == "" {
			return allowed, "", nil // that there is no such pod is no secret: the kubelet must learn it
		}
		if err != nil && !errors.Is(err, registry.NotFound) {
			return noOpinion, "", err
		}
	}
	return unrelated(node)
}

// related allows what a pod bound to the node stands for.
func (n *nodeAuthorizer) related(ctx context.Context, node string, a attributes, f func(*corev1.Pod) bool) (decision, string, error) {
	ok, err := n.anyPod(ctx, node, a.namespace, f)
	if ok {
		return allowed, "", err
	}
	d, reason, _ := unrelated(node)
	return d, reason, err
}

func unrelated(node string) (decision, string, error) {
	return noOpinion, fmt.Sprintf("no relationship found between node '%s' and this object", node), nil
}

// anyPod tells whether f holds for a pod of a namespace that is bound to node. A mirror pod counts for nothing: nodes make them.
// The cache is asked first: what it does not know may be newer than it.
func (n *nodeAuthorizer) anyPod(ctx context.Context, node, namespace string, f func(*corev1.Pod) bool) (bool, error) {
	for _, revision := range []string{"0", ""} {
		l, err := n.reg.List(ctx, core.Pod, namespace, registry.ListOptions{ResourceVersion: revision, Fields: "spec.nodeName=" + node})
		if err != nil {
			return false, err
		}
		for _, it := range l.Items {
			if pod := it.Object().(*corev1.Pod); !ended(pod) && !isMirror(pod) && f(pod) {
				return true, nil
			}
		}
	}
	return false, nil
}

// isMirror tells the image of a static pod.
func isMirror(pod *corev1.Pod) bool {
	_, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// ended tells a pod that will never run again: it gives no access any more.
func ended(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && (pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed)
}
