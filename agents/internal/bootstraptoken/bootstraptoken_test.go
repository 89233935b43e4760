package bootstraptoken

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestParse(t *testing.T) {
	if got, ok := Parse("abc123.0123456789abcdef"); !ok || got != (Token{"abc123", "0123456789abcdef"}) {
		t.Errorf("got %v %v", got, ok)
	}
	for _, text := range []string{
		"", ".", "abc123", "abc123.0123456789abcde", "abc123.0123456789abcdef0", "Abc123.0123456789abcdef", "abc123-0123456789abcdef",
		"abc12.00123456789abcdef", "abc123.0123456789abcde\n", "abc12é.0123456789abcde", "abc123.0123456789abcde.", "../../.0123456789abcdef",
	} {
		if got, ok := Parse(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// secret is the Secret of the token abc123.0123456789abcdef with changes of its data ("key=value") or "type=", "name=", "deleted".
func secret(changes ...string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "bootstrap-token-abc123"}, Type: "bootstrap.kubernetes.io/token", Data: map[string][]byte{
		"token-id": []byte("abc123"), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-authentication": []byte("true"), "usage-bootstrap-signing": []byte("true"),
	}}
	for _, c := range changes {
		switch key, v, _ := strings.Cut(c, "="); key {
		case "type":
			s.Type = corev1.SecretType(v)
		case "name":
			s.Name = v
		case "namespace":
			s.Namespace = v
		case "data":
			s.Data = nil
		case "deleted":
			s.DeletionTimestamp = &metav1.Time{Time: now}
		default:
			s.Data[key] = []byte(v)
		}
	}
	return s
}

func TestGroups(t *testing.T) {
	token, _ := Parse("abc123.0123456789abcdef")
	for _, tt := range []struct {
		name    string
		changes []string
		want    []string
		err     string
	}{
		{"plain", nil, []string{"system:bootstrappers"}, ""},
		{"extra groups", []string{"auth-extra-groups=system:bootstrappers:workers,system:bootstrappers:a:b,system:bootstrappers:workers"},
			[]string{"system:bootstrappers", "system:bootstrappers:a:b", "system:bootstrappers:workers"}, ""},
		{"masters", []string{"auth-extra-groups=system:masters"}, nil, `bootstrap group "system:masters" is invalid (must match \Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z)`},
		{"masters after a line", []string{"auth-extra-groups=system:bootstrappers:x\nsystem:masters"}, nil, "is invalid"},
		{"an empty group", []string{"auth-extra-groups=system:bootstrappers:x,"}, nil, `bootstrap group "" is invalid`},
		{"not expired", []string{"expiration=2026-07-01T12:00:01Z"}, []string{"system:bootstrappers"}, ""},
		{"expires now", []string{"expiration=2026-07-01T12:00:00Z"}, nil, "it has expired"},
		{"another zone", []string{"expiration=2026-07-01T12:30:00+01:00"}, nil, "it has expired"},
		{"no time", []string{"expiration=soon"}, nil, "it has expired"},
		{"another secret", []string{"token-secret=0123456789abcdee"}, nil, "it has an invalid value for key token-secret"},
		{"no secret", []string{"token-secret="}, nil, "it has an invalid value for key token-secret"},
		{"another id", []string{"token-id=abc124"}, nil, "it has an invalid value for key token-id"},
		{"not for this", []string{"usage-bootstrap-authentication=false"}, nil, "it is not marked usage-bootstrap-authentication=true"},
		{"another type", []string{"type=Opaque"}, nil, "it has an invalid type, expected bootstrap.kubernetes.io/token"},
		{"empty", []string{"data"}, nil, "it has an invalid value for key token-secret"},
		{"being deleted", []string{"deleted"}, nil, "it is deleted and awaiting removal"},
	} {
		got, err := Groups(secret(tt.changes...), token, now)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q %v, want %q %s", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestForSigning(t *testing.T) {
	for _, tt := range []struct {
		name    string
		changes []string
		want    bool
	}{
		{"plain", nil, true},
		{"being deleted", []string{"deleted"}, true},
		{"not for signing", []string{"usage-bootstrap-signing=True"}, false},
		{"expired", []string{"expiration=2026-07-01T11:00:00Z"}, false},
		{"the name of another", []string{"name=bootstrap-token-abc124"}, false},
		{"another id", []string{"token-id=abc124"}, false},
		{"no id", []string{"name=bootstrap-token-", "token-id="}, false},
		{"no secret", []string{"token-secret="}, false},
		{"another namespace", []string{"namespace=default"}, false},
		{"another type", []string{"type=Opaque"}, false},
	} {
		if got, ok := ForSigning(secret(tt.changes...), now); ok != tt.want || ok && got != (Token{"abc123", "0123456789abcdef"}) {
			t.Errorf("%s: %v %v, want %v", tt.name, got, ok, tt.want)
		}
	}
}

// The signature was made by Kubernetes' k8s.io/cluster-bootstrap/token/jws.
func TestSign(t *testing.T) {
	got := Token{"joshua", "my voice is my passcode"}.Sign("Hello from the other side. I must have called a thousand times.")
	if want := "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
