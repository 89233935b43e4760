// Package kinds is the table of every kind that Gantry serves. A new kind is one file and one row here.
package kinds

import (
	"gantry/schema"
	"gantry/schema/apps"
	"gantry/schema/coordination"
	"gantry/schema/core"
	"gantry/schema/discovery"
)

// All holds every kind. The order is the order of discovery.
var All = schema.NewSet(
	core.Namespace,
	core.Node,
	core.Pod,
	core.Service,
	core.Endpoints,
	core.ConfigMap,
	core.Secret,
	core.ServiceAccount,
	core.Event,
	apps.Deployment,
	apps.ReplicaSet,
	coordination.Lease,
	discovery.EndpointSlice,
)
