package gateway

import (
	"context"
	"slices"
)

// masters lets the group system:masters do everything.
type masters struct{}

func (masters) authorize(_ context.Context, a attributes) (decision, string, error) {
	if slices.Contains(a.user.Groups, groupMasters) {
		return allowed, "", nil
	}
	return noOpinion, "", nil
}
