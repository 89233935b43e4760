package profiles_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gantry/agents/scheduler/framework"
	"gantry/agents/scheduler/plugins"
	"gantry/agents/scheduler/profiles"
)

const head = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"

func rowNamed(p framework.Profile, name string) *framework.Plugin {
	if i := slices.IndexFunc(p.Rows, func(row framework.Plugin) bool { return row.Name == name }); i >= 0 {
		return &p.Rows[i]
	}
	return nil
}

// TestRead reads configurations as users of kube-scheduler write them.
func TestRead(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // by profile: its name and the rows that differ from the defaults
	}{
		{"empty", "", "default-scheduler"},
		{"settings of upstream's process", "leaderElection: {leaderElect: false}\nclientConnection: {kubeconfig: /etc/x}\nparallelism: 4\npercentageOfNodesToScore: 50\n", "default-scheduler"},
		{"a weight", "profiles:\n- plugins: {score: {enabled: [{name: NodeResourcesFit, weight: 7}]}}\n", "default-scheduler NodeResourcesFit*7"},
		{"a weight by multiPoint", "profiles:\n- plugins: {multiPoint: {enabled: [{name: ImageLocality, weight: 9}]}}\n", "default-scheduler ImageLocality*9"},
		{"a score that is off", "profiles:\n- plugins: {score: {disabled: [{name: NodeAffinity}]}}\n", "default-scheduler NodeAffinity(filter)"},
		{"all scores off but one", "profiles:\n- plugins: {score: {disabled: [{name: '*'}], enabled: [{name: TaintToleration}]}}\n",
			"default-scheduler TaintToleration*1 NodeAffinity(filter) NodeResourcesFit(filter) NodeResourcesBalancedAllocation(off) ImageLocality(off) PodTopologySpread(filter) InterPodAffinity(filter)"},
		{"a plug-in that is off", "profiles:\n- plugins: {multiPoint: {disabled: [{name: ImageLocality}, {name: DynamicResources}]}}\n", "default-scheduler ImageLocality(off)"},
		{"no preemption, and another scheduler", "profiles:\n- schedulerName: default-scheduler\n- schedulerName: quiet\n  plugins: {postFilter: {disabled: [{name: '*'}]}}\n", "default-scheduler; quiet no preemption"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := profiles.Read([]byte(head+tt.text), plugins.All)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range s.Profiles {
				got = append(got, describe(p))
			}
			if got := strings.Join(got, "; "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// describe returns a profile's name and how its rows differ from the table.
func describe(p framework.Profile) string {
	text := p.SchedulerName
	if p.NoPreemption {
		text += " no preemption"
	}
	for _, was := range plugins.All {
		switch row := rowNamed(p, was.Name); {
		case row == nil:
			text += fmt.Sprintf(" %s(off)", was.Name)
		case row.Score == nil && was.Score != nil:
			text += fmt.Sprintf(" %s(filter)", was.Name)
		case row.Weight != was.Weight:
			text += fmt.Sprintf(" %s*%d", was.Name, row.Weight)
		}
	}
	return text
}

func TestReadBackoff(t *testing.T) {
	s, err := profiles.Read([]byte(head+"podInitialBackoffSeconds: 3\npodMaxBackoffSeconds: 30\n"), plugins.All)
	if err != nil || s.InitialBackoff != 3*time.Second || s.MaxBackoff != 30*time.Second {
		t.Errorf("got %v and %v: %v", s.InitialBackoff, s.MaxBackoff, err)
	}
}

// TestReadFaults: a fault names its field.
func TestReadFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no kind", "profiles: []", `no kind "" is registered`},
		{"another version", strings.Replace(head, "/v1", "/v1beta3", 1), `for version "kubescheduler.config.k8s.io/v1beta3"`},
		{"a field that does not exist", head + "profiles:\n- schedulrName: x\n", `unknown field "profiles[0].schedulrName"`},
		{"a field that is set twice", head + "parallelism: 1\nparallelism: 2\n", `"parallelism" already set`},
		{"a wrong type", head + "parallelism: many\n", "parallelism"},
		{"parallelism", head + "parallelism: 0\n", "parallelism: Invalid value: 0: should be an integer value greater than zero"},
		{"percentage", head + "percentageOfNodesToScore: 101\n", "percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]"},
		{"back-off", head + "podInitialBackoffSeconds: 11\n", "podMaxBackoffSeconds: Invalid value: 10: must be greater than or equal to PodInitialBackoffSeconds"},
		{"extenders", head + "extenders: [{urlPrefix: 'http://x'}]\n", "extenders: Forbidden"},
		{"two profiles of one name", head + "profiles: [{schedulerName: a}, {schedulerName: a}]\n", `profiles[1].schedulerName: Duplicate value: "profiles[0].schedulerName"`},
		{"a profile without a name beside another", head + "profiles: [{schedulerName: a}, {}]\n", "profiles[1].schedulerName: Required value"},
		{"a plug-in that does not exist", head + "profiles: [{plugins: {score: {enabled: [{name: Best}]}}}]\n", `profiles[0].plugins.score.enabled[0].name: Invalid value: "Best"`},
		{"a wrong extension point", head + "profiles: [{plugins: {filter: {enabled: [{name: ImageLocality}]}}}]\n", "profiles[0].plugins.filter.enabled[0].name: Invalid value: \"ImageLocality\": the plug-in does not extend filter"},
		{"no binder", head + "profiles: [{plugins: {multiPoint: {disabled: [{name: '*'}]}}}]\n", "profiles[0].plugins.bind.enabled: Required value"},
		{"arguments of a plug-in that takes none", head + "profiles: [{pluginConfig: [{name: NodePorts, args: {x: 1}}]}]\n", "profiles[0].pluginConfig[0].args: Forbidden"},
		{"an argument that does not exist", head + "profiles: [{pluginConfig: [{name: DefaultPreemption, args: {x: 1}}]}]\n", `unknown field "x"`},
		{"arguments of another plug-in", head + "profiles: [{pluginConfig: [{name: DefaultPreemption, args: {kind: NodeAffinityArgs}}]}]\n", "want DefaultPreemptionArgs"},
		{"the strategy", head + "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Best}}}]}]\n", `profiles[0].pluginConfig[0].args.scoringStrategy.type: Unsupported value: "Best"`},
		{"the shape", head + "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 9, score: 11}]}}}}]}]\n",
			"args.scoringStrategy.requestedToCapacityRatio.shape[0].score: Invalid value: 11: not in valid range [0, 10]"},
		{"the weight of affinity", head + "profiles: [{pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]}]\n", "args.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]"},
		{"added affinity", head + "profiles: [{pluginConfig: [{name: NodeAffinity, args: {addedAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Is}]}]}}}}]}]\n", "args.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := profiles.Read([]byte(tt.text), plugins.All)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
