package authorize

import (
	"context"
	"slices"

	"gantry/agents/gateway/userinfo"
)

// Masters lets the group system:masters do everything.
type Masters struct{}

func (Masters) Authorize(_ context.Context, a Attributes) (Decision, string, error) {
	if slices.Contains(a.User.Groups, userinfo.GroupMasters) {
		return Allowed, "", nil
	}
	return NoOpinion, "", nil
}
