package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// OldVersionError tells that a member of etcd is too old to be safe.
type OldVersionError struct {
	Endpoint, Version string
	// Node tells that it is a node that asks.
	Node bool
}

func (e *OldVersionError) Error() string {
	why := "it can answer reads with old data (etcd#20418)"
	if e.Node {
		why = "it shows the holder of a node's role keys that are not the node's (GHSA-xg4h-6gfc-h4m8)"
	}
	return fmt.Sprintf("etcd %s at %s is too old: %s; upgrade it to %s or later", e.Version, e.Endpoint, why, floorText(e.Node))
}

// The first safe patch of each minor version of etcd 3. Older minors are never safe, newer ones always.
var (
	nodeFloors    = map[int]int{5: 33, 6: 14, 7: 1}
	controlFloors = map[int]int{5: 33, 6: 9, 7: 0}
)

func floorText(node bool) string {
	if node {
		return "3.7.1, 3.6.14 or 3.5.33"
	}
	return "3.7.0, 3.6.9 or 3.5.33"
}

// CheckVersion asks every member for its version. In process there is no other than the one compiled in.
func (e *Etcd) CheckVersion(ctx context.Context, node bool) error {
	var errs []error
	reached := false
	endpoints := e.client.Endpoints()
	for _, endpoint := range endpoints {
		s, err := e.client.Status(ctx, endpoint)
		if err != nil {
			if err = ReadError(ctx, err); errors.Is(err, Forbidden) {
				reached = true // a role that may not ask; who made it chose the version
			}
			errs = append(errs, err)
			continue
		}
		reached = true
		if !safeEtcd(s.Version, node) {
			return &OldVersionError{Endpoint: endpoint, Version: s.Version, Node: node}
		}
	}
	if reached || len(endpoints) == 0 {
		return nil
	}
	return errors.Join(errs...)
}

// safeEtcd tells whether a version ("3.6.9") is one that can be trusted.
func safeEtcd(version string, node bool) bool {
	parts := strings.SplitN(strings.SplitN(version, "-", 2)[0], ".", 3)
	if len(parts) != 3 {
		return false
	}
	var n [3]int
	for i, p := range parts {
		var err error
		if n[i], err = strconv.Atoi(p); err != nil {
			return false
		}
	}
	if n[0] != 3 {
		return n[0] > 3
	}
	floors := controlFloors
	if node {
		floors = nodeFloors
	}
	floor, known := floors[n[1]]
	if !known {
		return n[1] > 7
	}
	return n[2] >= floor
}
