package whatif

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/util/csaupgrade"

	"gantry/agents/admin/explain"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/core"
)

// Manifest is an object of a file.
type Manifest struct {
	Kind            *schema.Kind
	Version         *schema.Version
	Namespace, Name string
	JSON            []byte
}

// Title is how messages name the object: deployments.apps "web".
func (m *Manifest) Title() string { return fmt.Sprintf("%s %q", m.Kind.GR(), m.Name) }

// ReadManifests reads YAML documents or JSON, with their Lists taken apart. Objects of namespaced kinds that name no namespace get namespace.
func ReadManifests(kinds *schema.Set, r io.Reader, namespace string) ([]*Manifest, error) {
	var all []*Manifest
	decoder := yaml.NewYAMLOrJSONDecoder(r, 4096)
	for n := 1; ; n++ {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("document %d: %w", n, err)
		case len(u.Object) == 0:
			continue
		}
		items := []*unstructured.Unstructured{u}
		if u.IsList() {
			items = nil
			err = u.EachListItem(func(o runtime.Object) error {
				items = append(items, o.(*unstructured.Unstructured))
				return nil
			})
		}
		for _, item := range items {
			var m *Manifest
			if m, err = manifestOf(kinds, item, namespace); err != nil {
				break
			}
			all = append(all, m)
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
	}
}

func manifestOf(kinds *schema.Set, u *unstructured.Unstructured, namespace string) (*Manifest, error) {
	gvk := u.GroupVersionKind()
	v := kinds.Version(gvk)
	k := kinds.KindOfGroup(gvk.Group, gvk.Kind)
	switch {
	case v == nil || k == nil:
		return nil, fmt.Errorf("the cluster has no kind %q in version %q", gvk.Kind, u.GetAPIVersion())
	case u.GetName() == "":
		return nil, fmt.Errorf("%s: metadata.name is missing", gvk.Kind)
	case !k.Namespaced:
		u.SetNamespace("")
	case u.GetNamespace() == "":
		u.SetNamespace(namespace)
	}
	text, err := u.MarshalJSON()
	return &Manifest{Kind: k, Version: v, Namespace: u.GetNamespace(), Name: u.GetName(), JSON: bytes.TrimSpace(text)}, err
}

// Outcome is what came of one manifest.
type Outcome struct {
	Manifest *Manifest
	Old, New *registry.Item // nil: there is none
	Warnings []string
	Err      error // why it is refused
}

// Apply applies manifests as `kubectl apply --server-side --force-conflicts` does and reports which pods come, where they go, and which go.
// The outcomes are in the manifests' order.
func Apply(ctx context.Context, c *Cluster, manifests []*Manifest) ([]Outcome, []explain.Line, error) {
	before, err := c.all(ctx)
	if err != nil {
		return nil, nil, err
	}
	outcomes := make([]Outcome, len(manifests))
	for i, m := range manifests {
		if outcomes[i], err = c.apply(ctx, m); err != nil {
			return nil, nil, err
		}
		if m.Kind == core.Namespace { // its service account has to be there for pods
			if err := c.settle(ctx); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := c.settle(ctx); err != nil {
		return nil, nil, err
	}
	after, err := c.all(ctx)
	if err != nil {
		return nil, nil, err
	}
	return outcomes, podLines(newMoves(before, after)), nil
}

// manager is the field manager of kubectl apply --server-side.
const manager = "kubectl"

func (c *Cluster) apply(ctx context.Context, m *Manifest) (Outcome, error) {
	o := Outcome{Manifest: m}
	var err error
	o.Old, err = c.registry.Get(ctx, m.Kind, m.Namespace, m.Name, "")
	switch {
	case errors.Is(err, registry.NotFound):
		o.Old = nil
	case err != nil:
		return o, err
	default:
		if err := c.takeOver(ctx, m); err != nil {
			return o, err
		}
	}
	o.New, _, o.Err = c.registry.Apply(ctx, m.Kind, m.Namespace, m.Name, registry.Application{Config: m.JSON, Force: true}, registry.WriteOptions{
		Version: m.Version, FieldManager: manager, Warn: func(texts []string) { o.Warnings = texts },
	})
	return o, ctx.Err()
}

// takeOver gives the fields that kubectl apply without --server-side has set to the manager of server-side apply, as kubectl does, so that
// those the manifest has no longer go.
func (c *Cluster) takeOver(ctx context.Context, m *Manifest) error {
	_, err := c.registry.Modify(ctx, m.Kind, m.Namespace, m.Name, func(obj schema.Object) (schema.Object, error) {
		return obj, csaupgrade.UpgradeManagedFields(obj, sets.New("kubectl-client-side-apply"), manager)
	}, registry.WriteOptions{FieldManager: manager})
	return err
}

// podLines says where new pods go, by owner, and which pods go.
func podLines(m moves) []explain.Line {
	lines := []explain.Line{{Wanted: true}}
	type group struct{ owner, text string }
	count := map[group]int{}
	var order []group
	note := func(p *corev1.Pod, format string, args ...any) {
		g := group{ownerTitle(p), fmt.Sprintf(format, args...)}
		if count[g] == 0 {
			order = append(order, g)
		}
		count[g]++
	}
	homeless := 0
	for _, p := range m.come {
		if p.Spec.NodeName != "" {
			note(p, "start on %s", p.Spec.NodeName)
			continue
		}
		homeless++
		note(p, "find no node: %s", whyPending(p))
	}
	for _, p := range m.gone {
		if p.Spec.NodeName == "" {
			note(p, "end that have no node")
		} else {
			note(p, "end on %s", p.Spec.NodeName)
		}
	}
	slices.SortStableFunc(order, func(a, b group) int { return strings.Compare(a.owner+" "+a.text, b.owner+" "+b.text) })
	for _, g := range order {
		lines = append(lines, explain.Line{Depth: 1, Wanted: !strings.HasPrefix(g.text, "find no node"), Text: fmt.Sprintf("%s: %d %s", g.owner, count[g], g.text)})
	}
	lines[0].Text = fmt.Sprintf("pods: %d start, %d end, %d find no node", len(m.come)-homeless, len(m.gone), homeless)
	lines[0].Wanted = homeless == 0
	return lines
}

// ownerTitle is the controller of a pod, or the pod itself.
func ownerTitle(p *corev1.Pod) string {
	owner := metav1.GetControllerOf(p)
	if owner == nil {
		return title(p)
	}
	return fmt.Sprintf("pods of %s %s/%s", strings.ToLower(owner.Kind), p.Namespace, owner.Name)
}
