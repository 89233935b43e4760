package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/lru"

	"gantry/registry/admit"
	"gantry/schema"
	"gantry/schema/core"
)

// eventLimits are the configuration of EventRateLimit.
type eventLimits struct {
	metav1.TypeMeta `json:",inline"`
	Limits          []eventLimit `json:"limits"`
}

// eventLimit is one limit: QPS events a second, Burst at once, for each key of its type.
type eventLimit struct {
	Type  string `json:"type"`
	QPS   int32  `json:"qps"`
	Burst int32  `json:"burst"`
	// CacheSize is how many keys are remembered; 0: defaultEventKeys.
	CacheSize int32 `json:"cacheSize,omitempty"`
}

const defaultEventKeys = 4096

// eventKeys are the types of limit, with the key that an event is counted by.
var eventKeys = map[string]func(*admit.Request) string{
	"Server":    func(*admit.Request) string { return "" },
	"Namespace": func(q *admit.Request) string { return q.Namespace },
	"User":      func(q *admit.Request) string { return q.User.Username },
	"SourceAndObject": func(q *admit.Request) string {
		e, ok := q.Object.(*corev1.Event)
		if !ok {
			return ""
		}
		o := e.InvolvedObject
		return strings.Join([]string{e.Source.Component, e.Source.Host, o.Kind, o.Namespace, o.Name, string(o.UID), o.APIVersion}, "")
	},
}

func (c *eventLimits) validate() error {
	var errs field.ErrorList
	path := field.NewPath("limits")
	if len(c.Limits) == 0 {
		errs = append(errs, field.Invalid(path, c.Limits, "must not be empty"))
	}
	for i, l := range c.Limits {
		at := path.Index(i)
		if eventKeys[l.Type] == nil {
			errs = append(errs, field.NotSupported(at.Child("type"), l.Type, []string{"Namespace", "Server", "SourceAndObject", "User"}))
		}
		if l.Burst <= 0 {
			errs = append(errs, field.Invalid(at.Child("burst"), l.Burst, "must be positive"))
		}
		if l.QPS <= 0 {
			errs = append(errs, field.Invalid(at.Child("qps"), l.QPS, "must be positive"))
		}
		if l.Type != "Server" && l.CacheSize < 0 {
			errs = append(errs, field.Invalid(at.Child("cacheSize"), l.CacheSize, "must not be negative"))
		}
	}
	return errs.ToAggregate()
}

// eventRateLimit bounds how many events are written in a time. Each process counts those that it writes.
func eventRateLimit(_ Options, configuration []byte) (admit.Rule, error) {
	if configuration == nil {
		return admit.Rule{}, errors.New("it is missing: EventRateLimit needs limits")
	}
	var c eventLimits
	if err := decodeAs(configuration, "eventratelimit.admission.k8s.io/v1alpha1", "Configuration", &c); err != nil {
		return admit.Rule{}, err
	}
	if err := c.validate(); err != nil {
		return admit.Rule{}, err
	}
	var limiters eventLimiters
	for _, l := range c.Limits {
		limiters = append(limiters, &eventLimiter{eventLimit: l, keys: lru.New(int(cmp.Or(l.CacheSize, defaultEventKeys)))})
	}
	return admit.Rule{
		Name: "EventRateLimit", Doc: "events are written at a bounded rate",
		Wants: wantsEvent, Validate: limiters.check,
	}, nil
}

func wantsEvent(o admit.Operation, k *schema.Kind, _ string) bool {
	return k.Plural == core.Event.Plural && (k.Group == core.Event.Group || k.Group == "events.k8s.io") && (o == admit.Create || o == admit.Update)
}

type eventLimiters []*eventLimiter

// check counts an event once, and refuses it where it exceeds a limit.
func (all eventLimiters) check(_ context.Context, _ admit.Reader, q *admit.Request) error {
	if q.DryRun {
		return nil
	}
	if before, counted := q.Remembered().(eventDecision); counted {
		return before.error
	}
	var errs []error
	for _, l := range all {
		if key := eventKeys[l.Type](q); !l.allows(key) {
			errs = append(errs, fmt.Errorf("limit reached on type %v for key %v", l.Type, key))
		}
	}
	var decision eventDecision
	if err := utilerrors.NewAggregate(errs); err != nil {
		decision.error = &admit.Rejected{Status: apierrors.NewTooManyRequestsError(err.Error()).ErrStatus}
	}
	q.Remember(decision)
	return decision.error
}

// eventDecision is what was decided of a request, which may be decided again after a conflict.
type eventDecision struct{ error }

// eventLimiter has a token bucket for each key.
type eventLimiter struct {
	eventLimit
	mu   sync.Mutex // guards keys
	keys *lru.Cache // of *rate.Limiter
}

func (l *eventLimiter) allows(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.keys.Get(key)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(l.QPS), int(l.Burst))
		l.keys.Add(key, bucket)
	}
	return bucket.(*rate.Limiter).AllowN(time.Now(), 1)
}
