package up

import "testing"

// TestOnlyGatewaysCreateTheTokenKey checks that controllers without a gateway use the key that was copied to them, or none.
func TestOnlyGatewaysCreateTheTokenKey(t *testing.T) {
	dir := t.TempDir()
	key := func(agents ...string) *certs {
		k := &certs{}
		if err := k.ensureTokens(Config{DataDir: dir, Agents: agents}); err != nil {
			t.Fatal(err)
		}
		return k
	}
	if k := key("controllers"); k.tokens != nil {
		t.Error("controllers created a key")
	}
	made := key("gateway", "controllers").tokens
	if made == nil {
		t.Fatal("a gateway has no key")
	}
	if k := key("controllers"); k.tokens == nil {
		t.Error("controllers do not load the key")
	}
}
