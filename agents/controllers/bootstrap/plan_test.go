package bootstrap

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/controllers/plantest"
)

// tokens are Secrets of which the data is given as text.
func tokens(t *testing.T, text string) []*corev1.Secret {
	t.Helper()
	list := plantest.Parse[corev1.Secret](t, text)
	for _, s := range list {
		if s.Namespace == "" {
			s.Namespace = "kube-system"
		}
		if s.Type == "" {
			s.Type = "bootstrap.kubernetes.io/token"
		}
		s.Data = map[string][]byte{}
		for k, v := range s.StringData {
			s.Data[k] = []byte(v)
		}
		s.StringData = nil
	}
	return list
}

// A case has the ConfigMap "info" and Secrets "tokens". Signatures are shortened.
func TestSignatures(t *testing.T) {
	plantest.Golden(t, "sign", func(t *testing.T, files map[string]string) string {
		m := plantest.Parse[corev1.ConfigMap](t, files["info"])[0]
		m.Namespace, m.Name = "kube-public", "cluster-info"
		secrets := tokens(t, files["tokens"])
		plan, after := planSignatures(m, secrets, plantest.Now)
		var b strings.Builder
		b.WriteString(plantest.Lines(plan))
		for _, a := range plan {
			changed := a.Object.(*corev1.ConfigMap)
			for _, k := range slices.Sorted(maps.Keys(changed.Data)) {
				fmt.Fprintf(&b, "  %s: %.60s\n", k, changed.Data[k])
			}
			if again, _ := planSignatures(changed, secrets, plantest.Now); again != nil {
				t.Errorf("the plan repeats itself: %v", again)
			}
		}
		fmt.Fprintf(&b, "after %s\n", after)
		return b.String()
	})
}

func TestCleaning(t *testing.T) {
	for _, tt := range []struct {
		secret string
		gone   bool
		after  time.Duration
	}{
		{`{stringData: {expiration: "2026-07-01T12:00:00Z"}}`, true, 0},
		{`{stringData: {expiration: "2026-07-01T12:01:00Z"}}`, false, time.Minute},
		{`{stringData: {expiration: "2026-07-01T14:00:00+02:00"}}`, true, 0},
		{`{stringData: {expiration: tomorrow}}`, true, 0},
		{`{stringData: {token-id: abc123}}`, false, 0},
		{`{metadata: {namespace: default}, stringData: {expiration: "2026-07-01T11:00:00Z"}}`, false, 0},
		{`{type: Opaque, stringData: {expiration: "2026-07-01T11:00:00Z"}}`, false, 0},
		{`{metadata: {deletionTimestamp: "2026-07-01T11:00:00Z"}, stringData: {expiration: "2026-07-01T11:00:00Z"}}`, false, 0},
	} {
		plan, after := planCleanToken(tokens(t, tt.secret)[0], plantest.Now)
		if (len(plan) == 1) != tt.gone || after != tt.after {
			t.Errorf("%s: plan %v after %s", tt.secret, plan, after)
		}
	}
}
