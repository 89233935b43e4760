package up

import "testing"

// TestTokenKeyIsTheGateways: the controllers of a machine without gateway use the key that was copied there, or none.
func TestTokenKeyIsTheGateways(t *testing.T) {
	dir := t.TempDir()
	key := func(agents ...string) *certs {
		k := &certs{}
		if err := k.ensureTokens(Config{DataDir: dir, Agents: agents}); err != nil {
			t.Fatal(err)
		}
		return k
	}
	if k := key("controllers"); k.tokens != nil {
		t.Error("controllers made a key of their own")
	}
	made := key("gateway", "controllers").tokens
	if made == nil {
		t.Fatal("a gateway has no key")
	}
	if k := key("controllers"); k.tokens == nil {
		t.Error("controllers do not load the key")
	}
}
