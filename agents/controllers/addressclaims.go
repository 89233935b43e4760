package controllers

// setupClaims keeps the claims on cluster IPs and node ports equal to what the services say.
func setupClaims(e *env) wiring { return repair(e.r.RepairClaims) }
