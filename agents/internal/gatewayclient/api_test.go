package gatewayclient_test

import (
	"crypto/tls"
	"testing"

	"gantry/agents/gateway/gatewaytest"
	"gantry/agents/internal/gatewayclient"
	"gantry/registry"
	"gantry/registry/apitest"
	"gantry/schema/kinds"
)

// TestAPI runs registry.API's suite on administrators' clients of gateways.
func TestAPI(t *testing.T) {
	apitest.Run(t, func(t *testing.T) registry.API {
		c := gatewaytest.New(t)
		return gatewayclient.New([]string{c.URL}, &tls.Config{RootCAs: c.CA.Pool(), Certificates: []tls.Certificate{c.Admin.Certificate}}, kinds.New(), "test")
	})
}
