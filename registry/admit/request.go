package admit

import (
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"gantry/schema"
)

// Operation is what is being done.
type Operation string

// The operations, as Kubernetes names them.
const (
	Create  Operation = "CREATE"
	Update  Operation = "UPDATE"
	Delete  Operation = "DELETE"
	Connect Operation = "CONNECT"
)

// Request is the write that the rules decide on. A rule changes Object, in Mutate; everything else it changes by the methods.
type Request struct {
	Operation Operation
	// Kind is the kind as it is stored; of a subresource, the kind that it belongs to.
	Kind *schema.Kind
	// Version is the version of the kind that the client speaks.
	Version         *schema.Version
	Subresource     string // "", "status", "binding", "eviction"
	Namespace, Name string

	// Object is what will be stored, or the body of a subresource; nil for DELETE and CONNECT.
	Object schema.Object
	// Old is the stored object, read-only; nil for CREATE and CONNECT.
	Old schema.Object
	// Connection are the options of a CONNECT, for example a *corev1.PodExecOptions.
	Connection runtime.Object

	// Removes tells Validate that the object will be gone: by a DELETE that nothing holds, or an UPDATE that removes the last
	// finalizer. A DELETE that does not remove marks the object.
	Removes bool

	// User is who writes; it is never nil.
	User *authenticationv1.UserInfo
	// Authorizer answers what users may do, User among them; it is never nil.
	Authorizer authorizer.Authorizer

	DryRun bool
	// FieldManager and FieldValidation are options of a CREATE or an UPDATE as the client gave them, Deletion are those of a DELETE.
	FieldManager, FieldValidation string
	Deletion                      *metav1.DeleteOptions

	// Warnings for the client and Annotations for the audit, as the rules have added them.
	Warnings    []string
	Annotations map[string]string

	// Repeated tells that the first phase runs a second time, as MutateAgain has asked.
	Repeated bool
	again    bool
	memory   map[*Rule]any

	running    ruleCall    // the rule that is being called
	companions []Companion // what the rules have added
	first      [1]Companion
}

// Warn adds a warning for the client, once.
func (q *Request) Warn(text string) {
	if !slices.Contains(q.Warnings, text) {
		q.Warnings = append(q.Warnings, text)
	}
}

// MutateAgain asks for another run of the first phase after this one, since the object has become another for rules that have run.
func (q *Request) MutateAgain() { q.again = true }

// Remember keeps what the running rule wants to know in the second run of the first phase; Remembered returns it.
func (q *Request) Remember(v any) {
	if q.memory == nil {
		q.memory = map[*Rule]any{}
	}
	q.memory[q.running.rule] = v
}

// Remembered is what the running rule had remembered, nil before it has.
func (q *Request) Remembered() any { return q.memory[q.running.rule] }

// Annotate adds an annotation for the audit; key begins with the rule's domain: "pod-security.kubernetes.io/enforce-policy". The last
// value of a key counts.
func (q *Request) Annotate(key, value string) {
	if q.Annotations == nil {
		q.Annotations = map[string]string{}
	}
	q.Annotations[key] = value
}

// Options are the options of the request in the form in which webhooks get them; nil for CONNECT.
func (q *Request) Options() runtime.Object {
	var dryRun []string
	if q.DryRun {
		dryRun = []string{metav1.DryRunAll}
	}
	meta := func(kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: kind} }
	switch q.Operation {
	case Create:
		return &metav1.CreateOptions{TypeMeta: meta("CreateOptions"), DryRun: dryRun, FieldManager: q.FieldManager, FieldValidation: q.FieldValidation}
	case Update:
		return &metav1.UpdateOptions{TypeMeta: meta("UpdateOptions"), DryRun: dryRun, FieldManager: q.FieldManager, FieldValidation: q.FieldValidation}
	case Delete:
		o := q.Deletion.DeepCopy()
		if o == nil {
			o = &metav1.DeleteOptions{}
		}
		o.TypeMeta, o.DryRun = meta("DeleteOptions"), dryRun
		return o
	}
	return nil
}
