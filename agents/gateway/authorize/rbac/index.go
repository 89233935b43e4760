package rbac

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"gantry/agents/gateway/authorize"
	"gantry/agents/gateway/userinfo"
)

// key names a role or a binding; namespace is "" for those of the cluster.
type key struct{ namespace, name string }

// subject is a user or a group in the namespace of its bindings, "" for those of the cluster. A service account is the user of its name.
type subject struct {
	namespace string
	group     bool
	name      string
}

// binding is a RoleBinding or a ClusterRoleBinding.
type binding struct {
	key
	role     key
	subjects []rbacv1.Subject
}

// index has the rules of each role and the bindings of each subject.
type index struct {
	mu       sync.RWMutex // guards all below; what the maps point to is read-only
	roles    map[key]*authorize.Rules
	bindings map[key]*binding
	bound    map[subject][]*binding // sorted by name
}

func newIndex() *index {
	return &index{roles: map[key]*authorize.Rules{}, bindings: map[key]*binding{}, bound: map[subject][]*binding{}}
}

// setRole replaces the rules of a role; nil: there is no such role.
func (x *index) setRole(k key, rules *authorize.Rules) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if rules == nil {
		delete(x.roles, k)
		return
	}
	x.roles[k] = rules
}

// setBinding replaces the binding named k; nil: there is none.
func (x *index) setBinding(k key, b *binding) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.bindings[k]; old != nil {
		for _, s := range old.subjects {
			x.unbind(old.subjectOf(&s), k.name)
		}
	}
	if b == nil {
		delete(x.bindings, k)
		return
	}
	x.bindings[k] = b
	for _, s := range b.subjects {
		x.bind(b.subjectOf(&s), b)
	}
}

func (x *index) bind(s subject, b *binding) {
	if s.name == "" {
		return
	}
	if i, found := find(x.bound[s], b.name); !found { // a subject may be listed twice
		x.bound[s] = slices.Insert(x.bound[s], i, b)
	}
}

func (x *index) unbind(s subject, name string) {
	i, found := find(x.bound[s], name)
	if !found {
		return
	}
	if x.bound[s] = slices.Delete(x.bound[s], i, i+1); len(x.bound[s]) == 0 {
		delete(x.bound, s)
	}
}

func find(list []*binding, name string) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(b *binding, name string) int { return strings.Compare(b.name, name) })
}

// subjectOf is a subject of the binding as a key of the index. One that names nobody has no name.
func (b *binding) subjectOf(s *rbacv1.Subject) subject {
	switch s.Kind {
	case rbacv1.UserKind:
		return subject{b.namespace, false, s.Name}
	case rbacv1.GroupKind:
		return subject{b.namespace, true, s.Name}
	case rbacv1.ServiceAccountKind:
		if namespace := b.accountNamespace(s); namespace != "" {
			return subject{b.namespace, false, userinfo.ServiceAccountUser(namespace, s.Name)}
		}
	}
	return subject{}
}

// accountNamespace is the namespace of a subject that is a service account: by default the binding's.
func (b *binding) accountNamespace(s *rbacv1.Subject) string {
	if s.Namespace != "" {
		return s.Namespace
	}
	return b.namespace
}

// visit calls f for the bindings of the cluster, and then those of a namespace ("": none), that have the user or one of the user's groups as
// a subject, until f returns false. One with several of them as subjects is visited as often. rules are nil where the role does not exist.
// f must not block.
func (x *index) visit(user *authenticationv1.UserInfo, namespace string, f func(b *binding, rules *authorize.Rules) bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.visitScope(user, "", f) && namespace != "" {
		x.visitScope(user, namespace, f)
	}
}

func (x *index) visitScope(user *authenticationv1.UserInfo, namespace string, f func(b *binding, rules *authorize.Rules) bool) bool {
	visit := func(s subject) bool {
		for _, b := range x.bound[s] {
			if !f(b, x.roles[b.role]) {
				return false
			}
		}
		return true
	}
	if !visit(subject{namespace, false, user.Username}) {
		return false
	}
	for _, group := range user.Groups {
		if !visit(subject{namespace, true, group}) {
			return false
		}
	}
	return true
}

// describe words the binding to a user as Kubernetes' reasons do: by the first of its subjects that the user is.
func (b *binding) describe(user *authenticationv1.UserInfo) string {
	what, name := "ClusterRoleBinding", b.name
	if b.namespace != "" {
		what, name = "RoleBinding", b.name+"/"+b.namespace
	}
	role := "ClusterRole"
	if b.role.namespace != "" {
		role = "Role"
	}
	i := slices.IndexFunc(b.subjects, func(s rbacv1.Subject) bool {
		known := b.subjectOf(&s)
		return !known.group && known.name == user.Username || known.group && slices.Contains(user.Groups, known.name)
	})
	to := b.subjects[i].Name
	if b.subjects[i].Kind == rbacv1.ServiceAccountKind {
		to += "/" + b.accountNamespace(&b.subjects[i])
	}
	return fmt.Sprintf("%s %q of %s %q to %s %q", what, name, role, b.role.name, b.subjects[i].Kind, to)
}

// missing is the error about the role of a binding that does not exist.
func (b *binding) missing() error {
	kind := "clusterrole"
	if b.role.namespace != "" {
		kind = "role"
	}
	return apierrors.NewNotFound(rbacv1.Resource(kind), b.role.name)
}
