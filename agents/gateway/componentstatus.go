package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"gantry/agents/gateway/encode"
	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/registry/selector"
	"gantry/schema/core"
)

// componentTimeout is how long a component is asked.
const componentTimeout = 20 * time.Second

// component is a part of the control plane; check returns why it does not work.
type component struct {
	name  string
	check func(context.Context) error
}

// Names, Labels and Field are what a selector compares.
func (c component) Names() (namespace, name string)    { return "", c.name }
func (component) Labels() labels.Labels                { return labels.Set{} }
func (component) Field(string) (value string, ok bool) { return "", false }

// components are those that Kubernetes names, in the order of their names.
func (g *gateway) components() []component {
	return []component{
		{"controller-manager", g.leads("controllers")},
		{"etcd-0", g.cfg.Registry.Ready},
		{"scheduler", g.leads("scheduler")},
	}
}

// leads is the check of an agent whose leader works for all of them.
func (g *gateway) leads(election string) func(context.Context) error {
	return func(ctx context.Context) error {
		switch there, err := g.cfg.Registry.HasLeader(ctx, election); {
		case err != nil:
			return fmt.Errorf("asking for the leader of the %s: %w", election, err)
		case !there:
			return errors.New("no process leads")
		}
		return nil
	}
}

// item asks a component and makes its ComponentStatus.
func (c component) item(ctx context.Context) (*registry.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, componentTimeout)
	defer cancel()
	condition := corev1.ComponentCondition{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}
	if err := c.check(ctx); err != nil {
		condition.Status, condition.Message, condition.Error = corev1.ConditionFalse, "", err.Error()
	}
	status := &corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: c.name}, Conditions: []corev1.ComponentCondition{condition}}
	core.ComponentStatus.SetTypeMeta(status)
	data, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	return registry.NewItem(core.ComponentStatus, data)
}

// getComponent answers with the status of one component.
func (g *gateway) getComponent(w http.ResponseWriter, r *request.Request) error {
	for _, c := range g.components() {
		if c.name != r.Name {
			continue
		}
		item, err := c.item(r.Context())
		if err != nil {
			return err
		}
		return encode.Item(w, r, http.StatusOK, item)
	}
	return apierrors.NewNotFound(kschema.GroupResource{Resource: "componentstatus"}, r.Name)
}

// listComponents answers with the status of each. They have no labels, so that a selector of labels selects none.
func (g *gateway) listComponents(w http.ResponseWriter, r *request.Request) error {
	o, err := request.ReadListOptions(r.Query)
	if err != nil {
		return err
	}
	selected, err := selector.Parse(r.Kind, nil, "", o.Labels, o.Fields)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	l := registry.List{}
	for _, c := range g.components() {
		if !selected.Matches(c) {
			continue
		}
		item, err := c.item(r.Context())
		if err != nil {
			return err
		}
		l.Items = append(l.Items, item)
	}
	return encode.List(w, r, l)
}
