package network

import "gantry/agents/controllers/controller"

// NewAddressClaims keeps the claims on cluster IPs and node ports equal to what Services use, when somebody writes Services with etcdctl.
func NewAddressClaims(e *controller.Env) controller.Reconciler {
	return controller.RunOnly(e.Registry.RepairClaims)
}
