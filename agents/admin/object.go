package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"gantry/registry"
	"gantry/schema"
	"gantry/schema/kinds"
)

// FlagsFirst moves the flags of a command line of one of commands before its arguments: kubectl takes them anywhere, the
// parser below wants them first.
func FlagsFirst(commands []*cli.Command, args []string) []string {
	if len(args) < 3 {
		return args
	}
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == args[1] })
	if i < 0 {
		return args
	}
	takesValue := map[string]bool{}
	for _, f := range commands[i].Flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takesValue[name] = !isBool
		}
	}
	var flags, rest []string
	for line := args[2:]; len(line) > 0; line = line[1:] {
		arg := line[0]
		if arg == "--" {
			rest = append(rest, line[1:]...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			rest = append(rest, arg)
			continue
		}
		flags = append(flags, arg)
		name := strings.TrimLeft(arg, "-")
		if takesValue[name] && len(line) > 1 {
			line = line[1:]
			flags = append(flags, line[0])
		}
	}
	return slices.Concat(args[:2], flags, []string{"--"}, rest)
}

// object is what a command is about.
type object struct {
	kind            *schema.Kind
	namespace, name string
	key             string
}

// String is how texts name it: deployments.apps "web".
func (o object) String() string { return fmt.Sprintf("%s %q", o.kind.GR(), o.name) }

// objectOf reads KIND NAME, KIND/NAME or, as everything here has one, the KEY itself.
func objectOf(c *cli.Context) (object, error) {
	args := c.Args().Slice()
	if len(args) == 1 && strings.HasPrefix(args[0], "/") {
		k, ns, name, ok := kinds.BuiltIn().Key(strings.TrimPrefix(args[0], "/registry/"))
		if !ok || name == "" || !strings.HasPrefix(args[0], "/registry/") {
			return object{}, fmt.Errorf("%s is the key of no object (/registry/pods/default/web is one)", args[0])
		}
		return object{k, ns, name, args[0]}, nil
	}
	if len(args) == 1 {
		args = strings.SplitN(args[0], "/", 2)
	}
	if len(args) != 2 || args[0] == "" || args[1] == "" {
		return object{}, fmt.Errorf("usage: gantry %s %s", c.Command.Name, c.Command.ArgsUsage)
	}
	k, err := kindOf(args[0])
	if err != nil {
		return object{}, err
	}
	o := object{kind: k, name: args[1]}
	if k.Namespaced {
		o.namespace = c.String("namespace")
	}
	if strings.Contains(o.name, "/") || o.namespace == "" && k.Namespaced {
		return object{}, fmt.Errorf("%q is no name of a %s", o.name, k.Kind)
	}
	o.key = registry.Key(k, o.namespace, o.name)
	return o, nil
}

// kindOf finds a kind by plural, singular, short name or kind, with or without its group, as kubectl does.
func kindOf(text string) (*schema.Kind, error) {
	name, group, grouped := strings.Cut(strings.ToLower(text), ".")
	for _, k := range kinds.BuiltIn().All {
		names := append([]string{k.Plural, k.Singular, strings.ToLower(k.Kind)}, k.ShortNames...)
		if slices.Contains(names, name) && (!grouped || group == k.Group || group == k.Version.Version+"."+k.Group) {
			return k, nil
		}
	}
	return nil, fmt.Errorf("there is no kind %q", text)
}
