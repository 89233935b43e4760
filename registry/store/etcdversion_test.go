package store

import "testing"

func TestEtcdVersions(t *testing.T) {
	for version, want := range map[string][2]bool{ // for control-plane agents, for nodes
		"3.4.30": {false, false}, "3.5.32": {false, false}, "3.5.33": {true, true}, "3.6.8": {false, false}, "3.6.9": {true, false},
		"3.6.14": {true, true}, "3.7.0": {true, false}, "3.7.1": {true, true}, "3.7.3-rc.1": {true, true}, "3.8.0": {true, true}, "4.0.0": {true, true}, "x": {false, false},
	} {
		if got := [2]bool{safeEtcd(version, false), safeEtcd(version, true)}; got != want {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
}
