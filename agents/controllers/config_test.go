package controllers

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestConfigNamesEveryFault(t *testing.T) {
	bad := Config{ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00:244::/40")}, NodeMask4: 8, NodeMonitorGracePeriod: -1, Controllers: []string{"*", "-garbage", "nonsense"}}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no fault was found")
	}
	for _, want := range []string{"--etcd-servers", "--identity", "--node-cidr-mask-size-ipv4: 8 does not fit --cluster-cidr 10.244.0.0/16: want 16 to 32", "--node-cidr-mask-size-ipv6: 64 does not fit --cluster-cidr fd00:244::/40: want 40 to 56", "--node-monitor-grace-period", `--controllers: "nonsense"`, "health"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "garbage") {
		t.Errorf("-garbage is a controller: %v", err)
	}
}

func TestControllersArePicked(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want bool // does garbage run?
	}{
		{"all", []string{"*"}, true},
		{"all but", []string{"*", "-garbage"}, false},
		{"only", []string{"garbage"}, true},
		{"others", []string{"replicaset"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (Config{Controllers: tt.in}).runs("garbage"); got != tt.want {
				t.Errorf("garbage runs: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestTableIsWhole(t *testing.T) {
	var names []string
	for _, c := range table(Config{}) {
		names = append(names, c.Name)
		if c.Doc == "" || c.Workers < 1 || c.New == nil || c.Reads.None() {
			t.Errorf("the row of %s has a gap", c.Name)
		}
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(names))); len(unique) != len(names) {
		t.Errorf("a name is taken twice: %v", names)
	}
}
