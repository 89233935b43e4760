package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"gantry/agents/controllers/controller"
	"gantry/registry"
	"gantry/schema"
	"gantry/schema/flowcontrol"
	"gantry/schema/networking"
	"gantry/schema/scheduling"
)

// systemObject is an object without a namespace that every cluster has.
type systemObject struct {
	kind *schema.Kind
	// object is as it is created; read-only.
	object schema.Object
	// mandatory ones of flow control are always as they are delivered.
	mandatory bool
}

// systemObjects are all of them, by "<plural>/<name>". services are the ranges of cluster IPs; without any there is no ServiceCIDR.
func systemObjects(services []netip.Prefix) map[string]systemObject {
	all := map[string]systemObject{}
	add := func(o systemObject) { all[o.kind.Plural+"/"+o.object.GetName()] = o }
	for _, class := range scheduling.SystemClasses() {
		add(systemObject{kind: scheduling.PriorityClass, object: class})
	}
	for _, s := range flowcontrol.MandatoryFlowSchemas() {
		add(systemObject{flowcontrol.FlowSchema, s, true})
	}
	for _, s := range flowcontrol.SuggestedFlowSchemas() {
		add(systemObject{flowcontrol.FlowSchema, s, false})
	}
	for _, level := range flowcontrol.MandatoryPriorityLevels() {
		add(systemObject{flowcontrol.PriorityLevelConfiguration, level, true})
	}
	for _, level := range flowcontrol.SuggestedPriorityLevels() {
		add(systemObject{flowcontrol.PriorityLevelConfiguration, level, false})
	}
	if len(services) > 0 {
		cidr := &networkingv1.ServiceCIDR{}
		cidr.Name = "kubernetes"
		for _, p := range services {
			cidr.Spec.CIDRs = append(cidr.Spec.CIDRs, p.Masked().String())
		}
		add(systemObject{kind: networking.ServiceCIDR, object: cidr})
	}
	return all
}

// NewSystemObjects creates the objects that every cluster has, at the start and again when they are deleted. Flow schemas and priority levels it keeps as
// they are delivered, as long as their annotation says so, and deletes those that are delivered no more. Its keys are those of systemObjects and
// of such as have the annotation.
func NewSystemObjects(services []netip.Prefix) func(*controller.Env) controller.Reconciler {
	return func(e *controller.Env) controller.Reconciler { return newSystemObjects(e, systemObjects(services)) }
}

func newSystemObjects(e *controller.Env, all map[string]systemObject) controller.Reconciler {
	r := controller.Reconciler{
		Run: e.EnqueueOnce(slices.Collect(maps.Keys(all))...),
		Reconcile: func(ctx context.Context, key string) (time.Duration, error) {
			o, ok := all[key]
			if !ok {
				return 0, deleteUndelivered(ctx, e, key)
			}
			return 0, o.reconcile(ctx, e)
		},
	}
	watched := map[*schema.Kind]bool{}
	for _, o := range all {
		if watched[o.kind] {
			continue
		}
		watched[o.kind] = true
		r.Watches = append(r.Watches, controller.Watch{Kind: o.kind, Keys: func(old, current schema.Object) {
			switch {
			case current == nil:
				if key := o.kind.Plural + "/" + old.GetName(); all[key].kind != nil {
					e.Enqueue(key, 0)
				}
			case isFlowControl(o.kind):
				e.Enqueue(o.kind.Plural+"/"+current.GetName(), 0)
			}
		}})
	}
	return r
}

// reconcile creates the object where there is none. What is there may be as an administrator wants it.
func (o systemObject) reconcile(ctx context.Context, e *controller.Env) error {
	it, err := e.Registry.Get(ctx, o.kind, "", o.object.GetName(), "0")
	switch {
	case err == nil && isFlowControl(o.kind):
		return e.Execute(ctx, planFlowControl(o.kind, it.Object(), o.object, o.mandatory))
	case err == nil:
		return nil
	}
	if !errors.Is(err, registry.NotFound) {
		return fmt.Errorf("getting %s %s: %w", o.kind.Kind, o.object.GetName(), err)
	}
	err = e.Execute(ctx, []controller.Action{{Do: controller.Create, Kind: o.kind, Object: o.object, Reason: "every cluster has it"}})
	if errors.Is(err, registry.Exists) {
		return nil // it was created meanwhile
	}
	return err
}

// deleteUndelivered deletes a flow schema or priority level that only its annotation says to be delivered.
func deleteUndelivered(ctx context.Context, e *controller.Env, key string) error {
	plural, name, _ := strings.Cut(key, "/")
	k := flowcontrol.FlowSchema
	if plural != k.Plural {
		k = flowcontrol.PriorityLevelConfiguration
	}
	it, err := e.Registry.Get(ctx, k, "", name, "0")
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("getting %s %s: %w", k.Kind, name, err)
	}
	obj := it.Object()
	if on, err := strconv.ParseBool(obj.GetAnnotations()[flowcontrolv1.AutoUpdateAnnotationKey]); err != nil || !on {
		return nil
	}
	err = e.Execute(ctx, []controller.Action{{Do: controller.Delete, Kind: k, Object: obj, Reason: "it is delivered no more"}})
	if errors.Is(err, registry.NotFound) {
		return nil
	}
	return err
}
