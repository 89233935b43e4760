package authorize

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/request"
	"gantry/agents/gateway/userinfo"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/certificates"
)

// NodeRestriction is the admission of what nodes write.
type NodeRestriction struct {
	Registry reader
	Off      bool // nothing is refused
}

// Applies tells whether the request's user is a node, whose writes are checked one by one. These are Kubernetes'
// NodeRestriction rules; the authorizer Node allows only writes that can be checked here.
func (n NodeRestriction) Applies(r *request.Request) bool {
	return !n.Off && slices.Contains(r.User.Groups, userinfo.GroupNodes)
}

// Check refuses what a node may not write; old is nil for a create.
func (n NodeRestriction) Check(r *request.Request, obj, old schema.Object) error {
	if !n.Applies(r) || slices.Contains(r.User.Groups, userinfo.GroupMasters) {
		return nil
	}
	node := userinfo.NodeName(r.User)
	var err error
	switch o := obj.(type) {
	case *corev1.Node:
		before, _ := old.(*corev1.Node)
		err = restrictNode(node, r.Subresource, o, before)
	case *corev1.Pod:
		before, _ := old.(*corev1.Pod)
		if before == nil {
			err = n.restrictMirror(r, node, o)
		} else {
			err = restrictPodStatus(node, o, before)
		}
	case *corev1.PersistentVolume:
		before, _ := old.(*corev1.PersistentVolume)
		err = restrictVolume(node, o, before)
	case *coordinationv1.Lease:
		if o.Name != node {
			err = fmt.Errorf("can only access node lease with the same name as the requesting node")
		}
	case *certificatesv1.CertificateSigningRequest:
		err = restrictCertificate(node, o, old)
	}
	if err == nil || errors.Is(err, registry.NotFound) {
		return err
	}
	return apierrors.NewForbidden(r.GR(), obj.GetName(), err)
}

// CheckDelete refuses what a node may not delete, or evict.
func (n NodeRestriction) CheckDelete(r *request.Request, old schema.Object) error {
	node := userinfo.NodeName(r.User)
	pod, ok := old.(*corev1.Pod)
	if !ok || pod.Spec.NodeName == node {
		return nil
	}
	if r.Subresource == "eviction" {
		return apierrors.NewForbidden(r.GR(), r.Name, fmt.Errorf("node %s can only evict pods with spec.nodeName set to itself", node))
	}
	return apierrors.NewForbidden(r.GR(), r.Name, fmt.Errorf("node %q can only delete pods with spec.nodeName set to itself", node))
}

// restrictNode: a node writes only its own Node, and neither its taints nor the labels and owners that decide where
// others' pods go or who deletes it.
func restrictNode(node, subresource string, obj, old *corev1.Node) error {
	if obj.Name != node {
		return fmt.Errorf("node %q is not allowed to modify node %q", node, obj.Name)
	}
	if old == nil {
		return restrictNewNode(node, obj)
	}
	if obj.Spec.ConfigSource != nil && !equality.Semantic.DeepEqual(obj.Spec.ConfigSource, old.Spec.ConfigSource) {
		return fmt.Errorf("node %q is not allowed to update configSource to a new non-nil configSource", node)
	}
	if bad := forbiddenLabels(obj.Labels, old.Labels); len(bad) > 0 {
		return fmt.Errorf("is not allowed to modify labels: %s", strings.Join(bad, ", "))
	}
	if !equality.Semantic.DeepEqual(obj.OwnerReferences, old.OwnerReferences) {
		return fmt.Errorf("node %q is not allowed to modify ownerReferences", node)
	}
	if subresource == "" && !equality.Semantic.DeepEqual(obj.Spec.Taints, old.Spec.Taints) {
		return fmt.Errorf("node %q is not allowed to modify taints", node)
	}
	return nil
}

// restrictNewNode: taints given at registration are a node's own protection.
func restrictNewNode(node string, obj *corev1.Node) error {
	if obj.Spec.ConfigSource != nil {
		return fmt.Errorf("node %q is not allowed to create pods with a non-nil configSource", node)
	}
	if bad := forbiddenLabels(obj.Labels, nil); len(bad) > 0 {
		return fmt.Errorf("node %q is not allowed to set the following labels: %s", node, strings.Join(bad, ", "))
	}
	if len(obj.OwnerReferences) > 0 {
		return fmt.Errorf("node %q is not allowed to modify ownerReferences", node)
	}
	return nil
}

// forbiddenLabels are the labels that differ and that a node may not set on itself.
func forbiddenLabels(labels, old map[string]string) []string {
	changed := map[string]bool{}
	for k, v := range labels {
		if was, ok := old[k]; !ok || was != v {
			changed[k] = true
		}
	}
	for k := range old {
		if _, ok := labels[k]; !ok {
			changed[k] = true
		}
	}
	var bad []string
	for _, k := range slices.Sorted(maps.Keys(changed)) {
		if forbiddenLabel(k) {
			bad = append(bad, k)
		}
	}
	return bad
}

// Labels of kubernetes.io and k8s.io that a kubelet sets on its own Node.
var kubeletLabels = []string{
	corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelFailureDomainBetaZone,
	corev1.LabelFailureDomainBetaRegion, corev1.LabelInstanceType, corev1.LabelInstanceTypeStable, corev1.LabelOSStable,
	corev1.LabelArchStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
}

func forbiddenLabel(key string) bool {
	domain, _, prefixed := strings.Cut(key, "/")
	if !prefixed {
		return false
	}
	in := func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) }
	switch {
	case in("node-restriction.kubernetes.io"):
		return true
	case !in("kubernetes.io") && !in("k8s.io"):
		return false
	case in("kubelet.kubernetes.io"), in("node.kubernetes.io"):
		return false
	}
	return !slices.Contains(kubeletLabels, key)
}

// restrictCertificate: a node requests its own certificates of the kubelets' signers alone.
func restrictCertificate(node string, r *certificatesv1.CertificateSigningRequest, old schema.Object) error {
	if old != nil || r.Spec.SignerName != certificatesv1.KubeletServingSignerName && r.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return nil
	}
	parsed, err := certificates.ParseRequest(r.Spec.Request)
	if err != nil {
		return fmt.Errorf("unable to parse csr: %w", err)
	}
	if parsed.Subject.CommonName != "system:node:"+node {
		return fmt.Errorf("can only create a node CSR with CN=system:node:%s", node)
	}
	return nil
}

// reader reads single objects of the registry.
type reader interface {
	Get(ctx context.Context, k *schema.Kind, namespace, name, revision string) (*registry.Item, error)
}
