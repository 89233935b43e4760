package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"gantry/registry"
	"gantry/schema"
)

// object is the object that a command works on. It need not exist.
type object struct {
	kind            *schema.Kind
	namespace, name string
	key             string
}

// String is how messages name the object: deployments.apps "web".
func (o object) String() string { return fmt.Sprintf("%s %q", o.kind.GR(), o.name) }

// object reads the arguments of a command: KIND NAME, KIND/NAME or the KEY itself.
func (s *session) object(c *cli.Context) (object, error) {
	args := c.Args().Slice()
	if len(args) == 1 && strings.HasPrefix(args[0], "/") {
		k, ns, name, ok := s.kinds.Key(strings.TrimPrefix(args[0], "/registry/"))
		if !ok || name == "" || !strings.HasPrefix(args[0], "/registry/") {
			return object{}, fmt.Errorf("%s is not the key of an object (such as /registry/pods/default/web)", args[0])
		}
		return object{k, ns, name, args[0]}, nil
	}
	if len(args) == 1 {
		args = strings.SplitN(args[0], "/", 2)
	}
	if len(args) != 2 || args[0] == "" || args[1] == "" {
		return object{}, fmt.Errorf("usage: gantry %s %s", c.Command.Name, c.Command.ArgsUsage)
	}
	k, err := kindOf(s.kinds, args[0])
	if err != nil {
		return object{}, err
	}
	o := object{kind: k, name: args[1]}
	if k.Namespaced {
		o.namespace = c.String("namespace")
	}
	if strings.Contains(o.name, "/") || o.namespace == "" && k.Namespaced {
		return object{}, fmt.Errorf("%q is not a name of a %s", o.name, k.Kind)
	}
	o.key = registry.Key(k, o.namespace, o.name)
	return o, nil
}

// kindOf finds a kind by plural, singular, short name or kind, with or without its group, as kubectl does.
func kindOf(set *schema.Set, text string) (*schema.Kind, error) {
	name, group, grouped := strings.Cut(strings.ToLower(text), ".")
	for _, k := range set.All {
		names := append([]string{k.Plural, k.Singular, strings.ToLower(k.Kind)}, k.ShortNames...)
		if slices.Contains(names, name) && (!grouped || group == k.Group || group == k.Version.Version+"."+k.Group) {
			return k, nil
		}
	}
	return nil, fmt.Errorf("there is no kind %q", text)
}
