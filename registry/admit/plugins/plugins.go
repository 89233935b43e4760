package plugins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/pod-security-admission/admission/api/load"

	"gantry/registry/admit"
	"gantry/registry/admit/policies"
	"gantry/registry/admit/webhooks"
)

// Options are which plug-ins are on and what they need. The zero value is the defaults, without webhooks.
type Options struct {
	// Enable and Disable name plug-ins: --enable-admission-plugins and --disable-admission-plugins.
	Enable, Disable []string
	// File has an AdmissionConfiguration: --admission-control-config-file; "": none.
	File string
	// Webhooks posts to admission webhooks; nil: none are called.
	Webhooks webhooks.Caller
	// OnFailure, when set, is told of each call of a webhook that has failed; it must not block.
	OnFailure func(webhooks.Failure)
	// CreateNamespace creates a namespace for NamespaceAutoProvision; nil: that plug-in does nothing.
	CreateNamespace func(ctx context.Context, name string) error
}

// NodeRestriction is the plug-in that a gateway has itself.
const NodeRestriction = "NodeRestriction"

// plugin is one plug-in.
type plugin struct {
	name string
	// off: it must be enabled.
	off bool
	// rule makes the rule with the plug-in's configuration, nil where there is none. nil: the plug-in is admit.BuiltIn's of its name, or there is nothing
	// for it to do.
	rule func(o Options, configuration []byte) (admit.Rule, error)
}

// all are the plug-ins in Kubernetes' order.
var all = []plugin{
	{name: "AlwaysAdmit", off: true}, // does nothing
	{name: "NamespaceAutoProvision", off: true, rule: namespaceAutoProvision},
	{name: "NamespaceLifecycle"},
	{name: "NamespaceExists", off: true, rule: plain(namespaceExists)},
	{name: "LimitPodHardAntiAffinityTopology", off: true, rule: plain(limitPodHardAntiAffinityTopology)},
	{name: "LimitRanger"},
	{name: "ServiceAccount"},
	{name: NodeRestriction}, // package gantry/agents/gateway/authorize
	{name: "TaintNodesByCondition"},
	{name: "AlwaysPullImages", off: true, rule: plain(alwaysPullImages)},
	{name: "PodSecurity", rule: podSecurity},
	{name: "PodNodeSelector", off: true, rule: podNodeSelector},
	{name: "Priority"},
	{name: "DefaultTolerationSeconds"},
	{name: "PodTolerationRestriction", off: true, rule: podTolerationRestriction},
	{name: "EventRateLimit", off: true, rule: eventRateLimit},
	{name: "ExtendedResourceToleration", off: true, rule: plain(extendedResourceToleration)},
	{name: "DefaultStorageClass"},
	{name: "StorageObjectInUseProtection"},
	{name: "PodGroupProtection"}, // the kind is not served
	{name: "OwnerReferencesPermissionEnforcement", off: true, rule: plain(ownerReferencesPermissionEnforcement)},
	{name: "PersistentVolumeClaimResize"},
	{name: "RuntimeClass"},
	{name: "CertificateApproval"},
	{name: "CertificateSigning"},
	{name: "ClusterTrustBundleAttest"}, // the kind is not served
	{name: "CertificateSubjectRestriction"},
	{name: "DefaultIngressClass"},
	{name: "DenyServiceExternalIPs", off: true, rule: plain(denyServiceExternalIPs)},
	{name: "PodTopologyLabels", rule: plain(podTopologyLabels)},
	{name: "PodGroupWorkloadExists"},       // the kind is not served
	{name: "NodeDeclaredFeatureValidator"}, // Gantry's nodes declare no features
	{name: "JobValidation"},                // its feature gate is off
	{name: "PodResizeValidator", rule: plain(podResizeValidator)},
	{name: "MutatingAdmissionPolicy", rule: plain(policies.Mutating)},
	{name: "MutatingAdmissionWebhook", rule: calling(webhooks.Mutating)},
	{name: "ValidatingAdmissionPolicy", rule: plain(policies.Validating)},
	{name: "ValidatingAdmissionWebhook", rule: calling(webhooks.Validating)},
	{name: admit.ResourceQuota},
	{name: "AlwaysDeny", off: true, rule: plain(alwaysDeny)},
}

// plain is a plug-in without configuration.
func plain(rule func() admit.Rule) func(Options, []byte) (admit.Rule, error) {
	return func(Options, []byte) (admit.Rule, error) { return rule(), nil }
}

// calling is a plug-in that calls webhooks.
func calling(rule func(webhooks.Caller, func(webhooks.Failure)) admit.Rule) func(Options, []byte) (admit.Rule, error) {
	return func(o Options, _ []byte) (admit.Rule, error) {
		if o.Webhooks == nil {
			return admit.Rule{}, nil
		}
		return rule(o.Webhooks, o.OnFailure), nil
	}
}

func podSecurity(_ Options, configuration []byte) (admit.Rule, error) {
	c, err := load.LoadFromData(configuration)
	if err != nil {
		return admit.Rule{}, err
	}
	return admit.PodSecurity(c)
}

// alwaysDeny refuses every write.
func alwaysDeny() admit.Rule {
	deny := func(context.Context, admit.Reader, *admit.Request) error {
		return &admit.Denied{Reason: "admission control is denying all modifications"}
	}
	return admit.Rule{Name: "AlwaysDeny", Doc: "nothing is written", Mutate: deny, Validate: deny}
}

// Names are those of all plug-ins, in alphabetical order.
func Names() []string {
	var names []string
	for i := range all {
		names = append(names, all[i].name)
	}
	slices.Sort(names)
	return names
}

// On tells whether the plug-in of a name is on.
func (o Options) On(name string) bool {
	if slices.Contains(o.Enable, name) {
		return true
	}
	i := slices.IndexFunc(all, func(p plugin) bool { return p.name == name })
	return i >= 0 && !all[i].off && !slices.Contains(o.Disable, name)
}

// Validate returns every fault, each with its flag's name.
func (o Options) Validate() error {
	var faults []error
	known := Names()
	for _, flag := range []struct {
		name    string
		plugins []string
	}{{"--enable-admission-plugins", o.Enable}, {"--disable-admission-plugins", o.Disable}} {
		for _, name := range flag.plugins {
			if _, is := slices.BinarySearch(known, name); !is {
				faults = append(faults, fmt.Errorf("%s: %q is none of %s", flag.name, name, strings.Join(known, ", ")))
			}
		}
	}
	for _, name := range o.Enable {
		if slices.Contains(o.Disable, name) {
			faults = append(faults, fmt.Errorf("--enable-admission-plugins: %q is disabled by --disable-admission-plugins too", name))
		}
	}
	if len(faults) == 0 {
		if _, err := o.Rules(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// Rules are the rules of the plug-ins that are on. An error names the flag of the configuration.
func (o Options) Rules() (admit.Rules, error) {
	configurations, err := readFile(o.File)
	if err != nil {
		return nil, fmt.Errorf("--admission-control-config-file: %w", err)
	}
	builtIn := admit.BuiltIn()
	var rules admit.Rules
	for i := range all {
		p := &all[i]
		if !o.On(p.name) {
			continue
		}
		rule := builtIn.Named(p.name)
		if p.rule != nil {
			if rule, err = p.rule(o, configurations[p.name]); err != nil {
				return nil, fmt.Errorf("--admission-control-config-file: the configuration of %s: %w", p.name, err)
			}
		}
		if rule.Mutate != nil || rule.Validate != nil {
			rules = append(rules, rule)
		}
	}
	for i := range builtIn {
		if !slices.ContainsFunc(all, func(p plugin) bool { return p.name == builtIn[i].Name }) {
			rules = rules.Before("MutatingAdmissionPolicy", builtIn[i]) // no plug-in
		}
	}
	return rules, nil
}

// Default are the rules of the plug-ins that are on by default.
func Default(caller webhooks.Caller) admit.Rules {
	rules, err := Options{Webhooks: caller}.Rules()
	if err != nil {
		panic(err) // the defaults need no configuration
	}
	return rules
}
