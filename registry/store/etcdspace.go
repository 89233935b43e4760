package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Full is the error of an etcd that takes no writes, because its database has reached the quota or a member's data are
// corrupt; nil also where that is not known.
func (e *Etcd) Full(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	endpoints := e.client.Endpoints()
	if len(endpoints) == 0 {
		endpoints = []string{""} // in process
	}
	for _, endpoint := range endpoints {
		s, err := e.client.Status(ctx, endpoint)
		if err != nil {
			continue // another member may answer; that none does is said by those who ask for more
		}
		for _, problem := range s.Errors {
			if id, corrupt := strings.CutSuffix(problem, " alarm:CORRUPT"); corrupt { // "memberID:123 alarm:CORRUPT"
				return fmt.Errorf("etcd's member %s has found its data corrupt; etcd takes no writes until the member is replaced and the alarm disarmed", e.memberName(ctx, strings.TrimSpace(strings.TrimPrefix(id, "memberID:"))))
			}
			if strings.Contains(problem, "NOSPACE") {
				return fmt.Errorf("etcd has no space left: its database takes %s of a quota of %s; it takes deletions only until there is room (gantry's own etcd makes room by itself)", mebibytes(s.DbSize), mebibytes(s.DbSizeQuota))
			}
		}
		return nil
	}
	return nil
}

// memberName is the name of the member with a decimal id, and the id as etcdctl shows it.
func (e *Etcd) memberName(ctx context.Context, id string) string {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return id
	}
	hex := strconv.FormatUint(n, 16)
	res, err := e.client.MemberList(ctx)
	if err != nil {
		return hex
	}
	for _, m := range res.Members {
		if m.ID == n {
			return fmt.Sprintf("%s (%s)", m.Name, hex)
		}
	}
	return hex
}

// mebibytes is bytes for people.
func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
