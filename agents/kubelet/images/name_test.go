package images

import "testing"

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"nginx": "nginx:latest", "nginx:1": "nginx:1", "docker.io/library/nginx": "nginx:latest", "r.example.com:5000/a/b": "r.example.com:5000/a/b:latest",
	} {
		if got, err := Parse(in); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "Nginx", "a b", "x:", "../x"} {
		if got, err := Parse(in); err == nil {
			t.Errorf("%q: %q, want an error", in, got)
		}
	}
}
