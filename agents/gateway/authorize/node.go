package authorize

import (
	"context"
	"errors"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"

	"gantry/agents/gateway/userinfo"
	"gantry/registry"
	"gantry/schema/core"
	"gantry/schema/pods"
)

// Node lets a node's agents do what running the node's pods takes, and no more:
//   - read services, endpoints and endpoint slices; create, read and change its own Node;
//   - get, list and watch the pods bound to it, change their status and delete them (NodeRestriction checks that);
//   - read secrets and config maps, by name, that a pod bound to it refers to; get tokens for its pods' accounts;
//   - read claims, by name, that a pod bound to it uses, and their volumes; read its own local volumes and take the finalizer off them that
//     stands for their directories (NodeRestriction checks that);
//   - keep its lease in kube-node-lease; write events; ask for reviews of who calls it;
//   - create certificate signing requests (NodeRestriction checks that they are its own) and read them.
type Node struct{ reg *registry.Registry }

// Authorize allows what every node may do and what the node's pods need.
func (n *Node) Authorize(ctx context.Context, a Attributes) (Decision, string, error) {
	if !slices.Contains(a.User.Groups, userinfo.GroupNodes) {
		return NoOpinion, "", nil
	}
	if !userinfo.IsNode(a.User) {
		return NoOpinion, fmt.Sprintf("unknown node for user %q", a.User.Username), nil
	}
	if !a.IsResource {
		return NoOpinion, "", nil
	}
	node := userinfo.NodeName(a.User)
	switch a.Group + "/" + a.Plural {
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
	case "/persistentvolumeclaims":
		return n.claim(ctx, node, a)
	case "/persistentvolumes":
		return n.volume(ctx, node, a)
	}
	if nodeRules.Allow(&a) {
		return Allowed, "", nil
	}
	return NoOpinion, "", nil
}

// nodeRules are what every node may do, whatever its pods are.
var nodeRules = Rules{Resources: []authorizationv1.ResourceRule{
	{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"endpoints", "namespaces", "services"}},
	{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}},
	{Verbs: []string{"create", "update", "patch"}, APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}},
	{Verbs: []string{"create"}, APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}},
	{Verbs: []string{"create"}, APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"localsubjectaccessreviews", "subjectaccessreviews"}},
	{Verbs: []string{"create", "get", "list", "watch"}, APIGroups: []string{"certificates.k8s.io"}, Resources: []string{"certificatesigningrequests"}},
}}

// Rules are what every node may do, and what it may do with its own Node and lease. What it may do because of its pods is not listed.
func (n *Node) Rules(_ context.Context, user authenticationv1.UserInfo, namespace string) (Rules, error) {
	if !userinfo.IsNode(user) {
		return Rules{}, nil
	}
	own := []string{userinfo.NodeName(user)}
	rules := Rules{Incomplete: true, Resources: append(slices.Clone(nodeRules.Resources),
		authorizationv1.ResourceRule{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"nodes"}},
		authorizationv1.ResourceRule{Verbs: []string{"get", "list", "watch", "update", "patch"}, APIGroups: []string{""}, Resources: []string{"nodes"}, ResourceNames: own},
		authorizationv1.ResourceRule{Verbs: []string{"update", "patch"}, APIGroups: []string{""}, Resources: []string{"nodes/status"}, ResourceNames: own},
	)}
	if namespace == ownLeaseNamespace {
		rules.Resources = append(rules.Resources,
			authorizationv1.ResourceRule{Verbs: []string{"create"}, APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}},
			authorizationv1.ResourceRule{Verbs: []string{"get", "update", "patch", "delete"}, APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: own},
		)
	}
	return rules, errors.New("what a node may do depends on its pods, which is not listed")
}

// ownNode lets a node read and write the Node of its own name. A create's name is in its body: NodeRestriction checks it.
func ownNode(node string, a Attributes) (Decision, string, error) {
	switch {
	case a.Verb == "create" && a.Subresource == "":
		return Allowed, "", nil
	case a.Name == "":
		return NoOpinion, fmt.Sprintf("node '%s' cannot read all nodes, only its own Node object", node), nil
	case a.Name != node:
		return NoOpinion, fmt.Sprintf("node '%s' cannot read '%s', only its own Node object", node, a.Name), nil
	case a.Subresource == "" && slices.Contains([]string{"get", "list", "watch", "update", "patch"}, a.Verb),
		a.Subresource == "status" && (a.Verb == "update" || a.Verb == "patch"):
		return Allowed, "", nil
	}
	return NoOpinion, "", nil
}

const ownLeaseNamespace = "kube-node-lease"

// ownLease lets a node keep the lease of its own name.
func ownLease(node string, a Attributes) (Decision, string, error) {
	switch {
	case a.Subresource != "" || !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, a.Verb):
		return NoOpinion, "can only get, create, update, patch, or delete a node lease", nil
	case a.Namespace != ownLeaseNamespace:
		return NoOpinion, fmt.Sprintf("can only access leases in the %q system namespace", ownLeaseNamespace), nil
	case a.Verb != "create" && a.Name != node: // a create's name is in its body: NodeRestriction checks it
		return NoOpinion, "can only access node lease with the same name as the requesting node", nil
	}
	return Allowed, "", nil
}

// referenced lets a node read an object that a pod bound to it names. A name without a namespace is every namespace's object of
// that name: no pod names those.
func (n *Node) referenced(ctx context.Context, node string, a Attributes) (Decision, string, error) {
	switch {
	case !slices.Contains([]string{"get", "list", "watch"}, a.Verb):
		return NoOpinion, "can only read resources of this type", nil
	case a.Subresource != "":
		return NoOpinion, "cannot read subresource", nil
	case a.Namespace == "":
		return NoOpinion, "can only read namespaced object of this type", nil
	case a.Name == "":
		return NoOpinion, "No Object name found", nil
	}
	return n.related(ctx, node, a, func(pod *corev1.Pod) bool {
		if a.Plural == "secrets" {
			return slices.Contains(secretsOf(pod), a.Name)
		}
		return slices.Contains(configMapsOf(pod), a.Name)
	})
}

// account lets a node read the accounts of its pods and get tokens for them.
func (n *Node) account(ctx context.Context, node string, a Attributes) (Decision, string, error) {
	switch {
	case a.Namespace == "":
		return NoOpinion, "can only read namespaced object of this type", nil
	case a.Verb == "get" && a.Subresource == "" && a.Name != "":
	case a.Verb != "create" || a.Name == "":
		return NoOpinion, "can only create tokens for individual service accounts", nil
	case a.Subresource != "token":
		return NoOpinion, "can only create token subresource of serviceaccount", nil
	}
	return n.related(ctx, node, a, func(pod *corev1.Pod) bool { return pod.Spec.ServiceAccountName == a.Name })
}

// pods lets a node read the pods bound to it, one of them or those that it selects by their node, and write what NodeRestriction
// checks.
func (n *Node) pods(ctx context.Context, node string, a Attributes) (Decision, string, error) {
	switch a.Subresource + "/" + a.Verb {
	case "/create", "/delete", "status/update", "status/patch", "eviction/create":
		return Allowed, "", nil
	case "/get":
		return n.pod(ctx, node, a)
	case "/list", "/watch":
		if s, err := fields.ParseSelector(a.Fields); err == nil {
			if name, ok := s.RequiresExactMatch("spec.nodeName"); ok && name == node {
				return Allowed, "", nil
			}
		}
		return NoOpinion, "can only list/watch pods with spec.nodeName field selector", nil
	}
	return NoOpinion, "", nil
}

// pod lets a node read one pod that is bound to it.
func (n *Node) pod(ctx context.Context, node string, a Attributes) (Decision, string, error) {
	if a.Namespace == "" || a.Name == "" {
		return NoOpinion, "No Object name found", nil
	}
	for _, revision := range []string{"0", ""} {
		item, err := n.reg.Get(ctx, core.Pod, a.Namespace, a.Name, revision)
		if err == nil && item.Field("spec.nodeName") == node || errors.Is(err, registry.NotFound) && revision == "" {
			return Allowed, "", nil // the kubelet must learn that there is no such pod
		}
		if err != nil && !errors.Is(err, registry.NotFound) {
			return NoOpinion, "", err
		}
	}
	return unrelated(node)
}

// related allows what f holds for a pod bound to the node.
func (n *Node) related(ctx context.Context, node string, a Attributes, f func(*corev1.Pod) bool) (Decision, string, error) {
	ok, err := n.anyPod(ctx, node, a.Namespace, f)
	if ok {
		return Allowed, "", err
	}
	d, reason, _ := unrelated(node)
	return d, reason, err
}

func unrelated(node string) (Decision, string, error) {
	return NoOpinion, fmt.Sprintf("no relationship found between node '%s' and this object", node), nil
}

// anyPod returns whether f holds for a pod of a namespace that is bound to node. Mirror pods do not count: nodes make them.
// The cache is asked first, etcd where nothing in the cache answers.
func (n *Node) anyPod(ctx context.Context, node, namespace string, f func(*corev1.Pod) bool) (bool, error) {
	for _, revision := range []string{"0", ""} {
		l, err := n.reg.List(ctx, core.Pod, namespace, registry.ListOptions{ResourceVersion: revision, Fields: "spec.nodeName=" + node})
		if err != nil {
			return false, err
		}
		for _, it := range l.Items {
			if pod := it.Object().(*corev1.Pod); !pods.IsTerminalAndDeleted(pod) && !pods.IsMirror(pod.Annotations) && f(pod) {
				return true, nil
			}
		}
	}
	return false, nil
}
