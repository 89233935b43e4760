package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/labels"

	"gantry/agents/controllers/controller"
	"gantry/registry"
)

// Pod is a metric of a pod.
type Pod struct {
	// Value is in thousandths, of a core or a byte for example.
	Value int64
	// At and Window are the end and the length of the time that was measured.
	At     time.Time
	Window time.Duration
}

// Client asks for metrics. Safe for concurrent use.
type Client struct {
	// Gateway answers; nil: every question fails.
	Gateway controller.Gateway
}

var errNoGateway = errors.New("no gateway is configured")

// get reads the answer to a GET of segments below /apis into answer.
func (c Client) get(ctx context.Context, answer any, query url.Values, segments ...string) error {
	if c.Gateway == nil {
		return errNoGateway
	}
	to := "/apis"
	for _, s := range segments {
		if wrong := path.IsValidPathSegmentName(s); len(wrong) > 0 || s == "" {
			return fmt.Errorf("invalid name %q: %s", s, strings.Join(wrong, ", "))
		}
		to += "/" + url.PathEscape(s)
	}
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	data, err := c.Gateway.GetPath(ctx, to)
	if err != nil {
		return textOf(err)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// textOf is an error as clients of Kubernetes see it: the text of the Status alone.
func textOf(err error) error {
	var e *registry.Error
	switch {
	case !errors.As(err, &e):
		return err
	case e.Reason != "":
		return &answered{e.Reason, err}
	case errors.Is(err, registry.NotFound):
		return &answered{"the server could not find the requested resource", err}
	case e.Cause != nil:
		return &answered{e.Cause.Error(), err}
	}
	return err
}

// answered is an error with another text.
type answered struct {
	text string
	error
}

func (a *answered) Error() string { return a.text }
func (a *answered) Unwrap() error { return a.error }

// selecting is a query with selectors by the names of their parameters; one that selects everything is left out.
func selecting(selectors map[string]labels.Selector) url.Values {
	q := url.Values{}
	for name, s := range selectors {
		if text := s.String(); text != "" {
			q.Set(name, text)
		}
	}
	return q
}
