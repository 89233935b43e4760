package admin

import (
	"errors"
	"strings"
)

// TakeDataDir removes the flag --data-dir from the arguments of etcdctl, which has no flag of that name, and returns its value; "": it is
// not given.
func TakeDataDir(args []string) (dataDir string, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		switch {
		case args[i] == "--":
			return dataDir, append(rest, args[i:]...), nil
		case name != "--data-dir":
			rest = append(rest, args[i])
			continue
		case !given && i+1 < len(args):
			i++
			value = args[i]
		}
		if value == "" {
			return "", nil, errors.New("--data-dir needs a directory")
		}
		dataDir = value
	}
	return dataDir, rest, nil
}
