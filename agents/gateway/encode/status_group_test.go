package encode

import (
	"testing"

	"gantry/agents/gateway/request"
	"gantry/registry"
	"gantry/schema/core"
)

func TestErrorsNameTheRequestedGroup(t *testing.T) {
	r := &request.Request{}
	r.Resource = &request.Resource{Kind: core.Event, Version: core.Event.Versions[0]}
	r.Kind = core.Event
	for kind, want := range map[registry.ErrorKind]string{
		registry.NotFound: `events.events.k8s.io "e" not found`, registry.Exists: `events.events.k8s.io "e" already exists`, registry.Invalid: `Event "e" is invalid`,
	} {
		err := &registry.Error{Kind: kind, Resource: "events", KindName: "Event", Name: "e"}
		if got := StatusOf(inGroupOf(r, err)).Message; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if err.Group != "" {
			t.Error("the error was changed")
		}
	}
}
