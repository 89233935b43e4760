package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// RemoveTable removes the tables of a name in both families. Absent ones are no error.
func RemoveTable(name string) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	var errs []error
	for _, f := range []*Family{IPv4, IPv6} {
		conn.DelTable(&nftables.Table{Family: f.Table, Name: name})
		if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("removing table %s %s: %w", f.Name, name, err))
		}
	}
	return errors.Join(errs...)
}
