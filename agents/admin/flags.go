package admin

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// FlagsFirst moves the flags of a command line of one of commands before its arguments. kubectl takes flags anywhere, urfave/cli
// only before the arguments.
func FlagsFirst(commands []*cli.Command, args []string) []string {
	if len(args) < 3 {
		return args
	}
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == args[1] })
	if i < 0 {
		return args
	}
	if sub := commands[i].Subcommands; len(sub) > 0 {
		return append(args[:1:1], FlagsFirst(sub, args[1:])...)
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

func revFlag(name, usage string) cli.Flag { return &cli.Int64Flag{Name: name, Usage: usage} }

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "yaml", Usage: "`format`: yaml, json, or raw (as stored)"}
}

func serviceRangeFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "service-cluster-ip-range", Value: "10.96.0.0/16", EnvVars: []string{"GANTRY_SERVICE_CLUSTER_IP_RANGE"},
		Usage: "`range` of Service addresses, as the gateway was given it",
	}
}
