package apitest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"gantry/registry"
	"gantry/registry/registrytest"
	"gantry/schema"
	"gantry/schema/kinds"
)

const (
	times    = `"creationTimestamp":"2026-01-01T00:00:00Z","managedFields":[{"manager":"m","operation":"Apply","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}],"labels":{"app":"web"},"annotations":{"a":"b"}`
	template = `{"metadata":{"labels":{"app":"web"},"creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"terminationGracePeriodSeconds":30,"containers":[{"name":"c","image":"i","ports":[{"name":"http","containerPort":80}],"env":[{"name":"A","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"1m"}}}],"resources":{"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"cpu":"1","memory":"1Gi"}},"livenessProbe":{"httpGet":{"path":"/","port":"http"},"periodSeconds":10}}],"volumes":[{"name":"v","emptyDir":{"sizeLimit":"1Gi"}}],"tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}]}}`
	status   = `"conditions":[{"type":"Ready","status":"True","reason":"R","message":"m","lastProbeTime":"2026-01-01T00:00:00Z","lastHeartbeatTime":"2026-01-01T00:00:00Z","lastUpdateTime":"2026-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z"}]`
)

// jobTemplate is the template of pods that end.
var jobTemplate = strings.Replace(template, `"spec":{`, `"spec":{"restartPolicy":"Never",`, 1)

// samples are an object of each kind with what it can have of times, amounts and numbers.
var samples = map[string]string{
	"Namespace":                        `"status":{` + status + `}`,
	"Node":                             `"spec":{"podCIDR":"10.244.0.0/24","taints":[{"key":"k","effect":"NoSchedule","timeAdded":"2026-01-01T00:00:00Z"}]},"status":{"capacity":{"cpu":"4","memory":"8Gi","pods":"110"},"allocatable":{"cpu":"3500m"},"images":[{"names":["a"],"sizeBytes":7}],"daemonEndpoints":{"kubeletEndpoint":{"Port":10250}},` + status + `}`,
	"Pod":                              template[strings.Index(template, `"spec"`):len(template)-1] + `,"status":{"phase":"Running","startTime":"2026-01-01T00:00:00Z","containerStatuses":[{"name":"c","ready":true,"restartCount":1,"image":"i","imageID":"","containerID":"docker://1","state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}},"lastState":{"terminated":{"exitCode":1,"startedAt":"2026-01-01T00:00:00Z","finishedAt":"2026-01-01T00:00:00Z"}},"allocatedResources":{"cpu":"1"}}],` + status + `}`,
	"Service":                          `"spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":8080},{"name":"x","port":81,"targetPort":"http"}]}`,
	"Endpoints":                        `"subsets":[{"addresses":[{"ip":"10.0.0.1"}],"ports":[{"port":80}]}]`,
	"ConfigMap":                        `"data":{"a":"b"},"binaryData":{"c":"AAAA"}`,
	"Secret":                           `"type":"Opaque","data":{"a":"AAAA"},"stringData":{"b":"c"}`,
	"ServiceAccount":                   `"secrets":[{"name":"a"}],"automountServiceAccountToken":true`,
	"Event":                            `"involvedObject":{"kind":"Pod","namespace":"default","name":"a"},"reason":"R","message":"m","count":3,"firstTimestamp":"2026-01-01T00:00:00Z","lastTimestamp":"2026-01-01T00:00:00Z","eventTime":"2026-01-01T00:00:00.000001Z","series":{"count":2,"lastObservedTime":"2026-01-01T00:00:00.000001Z"},"action":"A","reportingComponent":"example.com/c","reportingInstance":"i","type":"Normal"`,
	"Deployment":                       `"spec":{"replicas":2,"minReadySeconds":1,"progressDeadlineSeconds":600,"selector":{"matchLabels":{"app":"web"}},"strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":1}},"template":` + template + `},"status":{"replicas":2,"observedGeneration":1,` + status + `}`,
	"ReplicaSet":                       `"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},"template":` + template + `},"status":{"replicas":2,` + status + `}`,
	"PodTemplate":                      `"template":` + template,
	"ReplicationController":            `"spec":{"replicas":2,"minReadySeconds":1,"selector":{"app":"web"},"template":` + template + `},"status":{"replicas":2,"observedGeneration":1,` + status + `}`,
	"ControllerRevision":               `"revision":3,"data":{"spec":{"template":{"a":1,"b":[1.5,"x",null]}}}`,
	"DaemonSet":                        `"spec":{"selector":{"matchLabels":{"app":"web"}},"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"10%"}},"template":` + template + `},"status":{"currentNumberScheduled":1,"collisionCount":1,` + status + `}`,
	"StatefulSet":                      `"spec":{"replicas":2,"serviceName":"web","selector":{"matchLabels":{"app":"web"}},"ordinals":{"start":3},"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":1}},"volumeClaimTemplates":[{"metadata":{"name":"d"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}],"template":` + template + `},"status":{"replicas":2,"collisionCount":1,` + status + `}`,
	"HorizontalPodAutoscaler":          `"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"minReplicas":1,"maxReplicas":4,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"AverageValue","averageValue":"100m"}}}],"behavior":{"scaleDown":{"stabilizationWindowSeconds":60,"tolerance":"100m","policies":[{"type":"Pods","value":1,"periodSeconds":15}]}}},"status":{"lastScaleTime":"2026-01-01T00:00:00Z","currentReplicas":1,"desiredReplicas":2,"currentMetrics":[{"type":"Resource","resource":{"name":"cpu","current":{"averageValue":"90m"}}}],` + status + `}`,
	"CronJob":                          `"spec":{"schedule":"*/5 * * * *","timeZone":"Etc/UTC","startingDeadlineSeconds":60,"jobTemplate":{"metadata":{"labels":{"a":"b"}},"spec":{"template":` + jobTemplate + `}}},"status":{"active":[{"kind":"Job","name":"a"}],"lastScheduleTime":"2026-01-01T00:00:00Z"}`,
	"Job":                              `"spec":{"parallelism":2,"completions":3,"backoffLimit":4,"activeDeadlineSeconds":60,"ttlSecondsAfterFinished":7,"template":` + jobTemplate + `},"status":{"startTime":"2026-01-01T00:00:00Z","active":1,"ready":1,"uncountedTerminatedPods":{"succeeded":["a"]},` + status + `}`,
	"PodDisruptionBudget":              `"spec":{"minAvailable":"50%","selector":{"matchLabels":{"app":"web"}}},"status":{"disruptedPods":{"a":"2026-01-01T00:00:00Z"},"disruptionsAllowed":1,"currentHealthy":2,"desiredHealthy":1,"expectedPods":2,"observedGeneration":1,` + status + `}`,
	"Lease":                            `"spec":{"holderIdentity":"a","leaseDurationSeconds":40,"leaseTransitions":1,"acquireTime":"2026-01-01T00:00:00.000001Z","renewTime":"2026-01-01T00:00:00.000001Z"}`,
	"EndpointSlice":                    `"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}}],"ports":[{"name":"http","port":80}]`,
	"PersistentVolumeClaim":            `"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"storageClassName":"fast","volumeMode":"Block","dataSource":{"kind":"PersistentVolumeClaim","name":"a"}},"status":{"capacity":{"storage":"1Gi"},` + status + `}`,
	"PersistentVolume":                 `"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],"local":{"path":"/a"},"mountOptions":["ro"],"nodeAffinity":{"required":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"Exists"}]}]}},"claimRef":{"namespace":"default","name":"a"}},"status":{"phase":"Bound","lastPhaseTransitionTime":"2026-01-01T00:00:00Z"}`,
	"ResourceQuota":                    `"spec":{"hard":{"pods":"10","cpu":"1500m"},"scopes":["Terminating"],"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"In","values":["a"]}]}},"status":{"hard":{"pods":"10"},"used":{"pods":"1"}}`,
	"LimitRange":                       `"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"min":{"cpu":"100m"},"default":{"cpu":"1"},"maxLimitRequestRatio":{"cpu":"3"}}]}`,
	"Ingress":                          `"spec":{"ingressClassName":"a","rules":[{"host":"a.b","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"web","port":{"number":80}}}}]}}],"tls":[{"hosts":["a.b"],"secretName":"s"}]},"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.1","ports":[{"port":80,"protocol":"TCP"}]}]}}`,
	"IngressClass":                     `"spec":{"controller":"a.b/c","parameters":{"kind":"K","name":"n"}}`,
	"NetworkPolicy":                    `"spec":{"podSelector":{"matchLabels":{"a":"b"}},"ingress":[{"ports":[{"port":80,"endPort":90},{"port":"http"}],"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]}]}`,
	"IPAddress":                        `"spec":{"parentRef":{"resource":"services","namespace":"default","name":"web"}}`,
	"ServiceCIDR":                      `"spec":{"cidrs":["10.0.0.0/24"]},"status":{` + status + `}`,
	"StorageClass":                     `"provisioner":"a.b/c","parameters":{"a":"b"},"allowVolumeExpansion":true,"allowedTopologies":[{"matchLabelExpressions":[{"key":"zone","values":["a"]}]}]`,
	"CSIDriver":                        `"spec":{"attachRequired":false,"fsGroupPolicy":"File","tokenRequests":[{"audience":"a","expirationSeconds":3600}],"nodeAllocatableUpdatePeriodSeconds":30}`,
	"CSINode":                          `"spec":{"drivers":[{"name":"a.b","nodeID":"n","topologyKeys":["zone"],"allocatable":{"count":3}}]}`,
	"CSIStorageCapacity":               `"storageClassName":"fast","capacity":"1Gi","maximumVolumeSize":"512Mi","nodeTopology":{"matchLabels":{"a":"b"}}`,
	"VolumeAttachment":                 `"spec":{"attacher":"a.b","nodeName":"n","source":{"persistentVolumeName":"pv"}},"status":{"attached":true,"attachError":{"time":"2026-01-01T00:00:00Z","message":"m","errorCode":3}}`,
	"VolumeAttributesClass":            `"driverName":"a.b","parameters":{"iops":"1"}`,
	"Role":                             `"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]}]`,
	"ClusterRole":                      `"rules":[{"verbs":["get"],"nonResourceURLs":["/healthz"]}],"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]}`,
	"RoleBinding":                      `"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"alice"}]`,
	"ClusterRoleBinding":               `"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"r"},"subjects":[{"kind":"ServiceAccount","namespace":"n","name":"a"}]`,
	"PriorityClass":                    `"value":1000,"description":"d","preemptionPolicy":"Never"`,
	"RuntimeClass":                     `"handler":"runsc","overhead":{"podFixed":{"cpu":"10m","memory":"1Mi"}},"scheduling":{"nodeSelector":{"a":"b"},"tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}]}`,
	"CertificateSigningRequest":        `"spec":{"request":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlHUE1FTUNBUUF3RURFT01Bd0dBMVVFQXhNRllXeHBZMlV3S2pBRkJnTXJaWEFESVFCR3FRemJVeXhtMk9XYgpXZnpRYkpmRmhTWXdIbUZFYUgrem9VdDlTcW1oNUtBQU1BVUdBeXRsY0FOQkFBaXJLTzJGbnB4SzAvVWhMOE5yCkRCM28vd2lYTEZ1MUhvaitpWXFXWDZjTHVHcVQ0NTJIUXNQejdPQWY0NENqZUhWT0I0cDZibUxlSGNOZXorUW0KZEFvPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K","signerName":"example.com/s","expirationSeconds":3600,"usages":["client auth"],"username":"x"},"status":{"conditions":[{"type":"Failed","status":"True","lastUpdateTime":"2026-01-01T00:00:00Z"}]}`,
	"MutatingWebhookConfiguration":     `"webhooks":[{"name":"a.example.com","sideEffects":"None","admissionReviewVersions":["v1"],"timeoutSeconds":5,"clientConfig":{"caBundle":"AAAA","service":{"namespace":"n","name":"s","port":443}},"rules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]}]`,
	"ValidatingWebhookConfiguration":   `"webhooks":[{"name":"a.example.com","sideEffects":"None","admissionReviewVersions":["v1"],"timeoutSeconds":5,"clientConfig":{"caBundle":"AAAA","service":{"namespace":"n","name":"s","port":443}},"rules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]}]`,
	"ValidatingAdmissionPolicy":        `"spec":{"matchConstraints":{"resourceRules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]},"validations":[{"expression":"true"}]},"status":{"observedGeneration":1,"conditions":[{"type":"Ready","status":"True","reason":"R","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]}`,
	"MutatingAdmissionPolicy":          `"spec":{"matchConstraints":{"resourceRules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]},"reinvocationPolicy":"Never","mutations":[{"patchType":"JSONPatch","jsonPatch":{"expression":"[JSONPatch{op: \"test\", path: \"/spec/replicas\", value: 1}]"}}]}`,
	"ValidatingAdmissionPolicyBinding": `"spec":{"policyName":"p","validationActions":["Deny"],"paramRef":{"name":"x","parameterNotFoundAction":"Deny"}}`,
	"MutatingAdmissionPolicyBinding":   `"spec":{"policyName":"p","paramRef":{"name":"x","parameterNotFoundAction":"Deny"}}`,
	"FlowSchema":                       `"spec":{"priorityLevelConfiguration":{"name":"l"},"matchingPrecedence":7,"rules":[{"subjects":[{"kind":"Group","group":{"name":"g"}}],"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}]},"status":{"conditions":[{"type":"Dangling","status":"False","lastTransitionTime":"2026-01-01T00:00:00Z"}]}`,
	"PriorityLevelConfiguration":       `"spec":{"type":"Limited","limited":{"nominalConcurrencyShares":7,"limitResponse":{"type":"Queue","queuing":{"queues":64,"handSize":6,"queueLengthLimit":50}}}},"status":{"conditions":[{"type":"a","status":"False","lastTransitionTime":"2026-01-01T00:00:00Z"}]}`,
	"DeviceClass":                      `"spec":{"selectors":[{"cel":{"expression":"true"}}],"config":[{"opaque":{"driver":"d.example.com","parameters":{"a":1}}}]}`,
	"ResourceClaim":                    `"spec":{"devices":{"requests":[{"name":"gpu","exactly":{"deviceClassName":"c","count":2,"tolerations":[{"key":"k","operator":"Exists","tolerationSeconds":3}]}}]}},"status":{"allocation":{"devices":{"results":[{"request":"gpu","driver":"d","pool":"p","device":"x"}]},"allocationTimestamp":"2026-01-01T00:00:00Z"}}`,
	"ResourceClaimTemplate":            `"spec":{"metadata":{"labels":{"a":"b"}},"spec":{"devices":{"requests":[{"name":"gpu","exactly":{"deviceClassName":"c","count":2,"tolerations":[{"key":"k","operator":"Exists","tolerationSeconds":3}]}}]}}}`,
	"ResourceSlice":                    `"spec":{"driver":"d","nodeName":"n","pool":{"name":"p","resourceSliceCount":1},"devices":[{"name":"x","attributes":{"a":{"int":1}},"capacity":{"memory":{"value":"1Gi"}},"taints":[{"key":"k","effect":"NoSchedule","timeAdded":"2026-01-01T00:00:00Z"}]}]}`,
	"CustomResourceDefinition":         `"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"{plural}","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer","minimum":1}}}}}}}]},"status":{}`,
	"APIService":                       `"spec":{"group":"{name}","version":"v1","groupPriorityMinimum":7,"versionPriority":7},"status":{}`,
}

var odd = []string{
	`"9999-12-31T23:59:59-01:00"`, `"0000-01-01T00:00:00+01:00"`, `"9999-12-31T23:59:59Z"`, `"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"0001-01-01T00:00:00.5Z"`, `"2026-01-01T00:00:00.123456789+07:30"`,
	`"1e-2147483648"`, `"1e308"`, `"1e64"`, `"10E"`, `"9223372036854775807"`, `"8Ei"`, `"1.5"`, `"0.1m"`, `1e3`, `"-1"`, `".5"`, `"0"`,
	`0`, `-1`, `2147483647`, `2147483648`, `9223372036854775807`, `9223372036854775808`, `1.5`, `true`, `null`, `""`, `"\u0000"`, `"\ud800"`, "\"\xff\"", `"ä€𝄞\u2028<&>\"\\"`, `",\"$by\":{\"user\":\"x\"}"`,
	`[]`, `{}`, `[null]`, `{"a":null}`, ` { "a" : [ 1 ] } `, strings.Repeat(`{"a":`, 300) + `{}` + strings.Repeat(`}`, 300), strings.Repeat("x", 300),
}

// leaves appends where the values in a tree of JSON are, by the way to change them.
func leaves(v any, at []func(any)) []func(any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			at = leaves(v[key], append(at, func(to any) { v[key] = to }))
		}
	case []any:
		for i := range v {
			at = leaves(v[i], append(at, func(to any) { v[i] = to }))
		}
	}
	return at
}

// TestEveryWriteIsWhatAReadGives writes objects of every kind with odd values in them, as clients send them. What is accepted is read by
// another process as it was answered, byte for byte and decoded, and nothing of it comes under quarantine.
func TestEveryWriteIsWhatAReadGives(t *testing.T) {
	writer, store := registrytest.New(t)
	reader := registrytest.On(t, store)
	for _, k := range kinds.BuiltIn().All {
		t.Run(k.Kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			random, accepted := rand.New(rand.NewSource(1)), 0
			const tries = 400
			for n := range tries {
				update := []string{"create", "", "status"}[n%3]
				data := oddSample(t, k, sampleName(k, n/3), random)
				it, err := writeAs(ctx, writer, k, data, update)
				if ctx.Err() != nil {
					t.Fatalf("after %d tries: %v", n, err)
				}
				if err != nil {
					continue
				}
				accepted++
				got, err := reader.Get(ctx, k, it.Namespace, it.Name, fmt.Sprint(it.Revision))
				switch {
				case err != nil:
					t.Fatalf("%s: accepted, but %v\n%.1000s", update, err, data)
				case string(got.JSON) != string(it.JSON):
					t.Fatalf("%s: answered\n%.2000s\nread\n%.2000s", update, it.JSON, got.JSON)
				case !apiequality.Semantic.DeepEqual(got.Object(), it.Object()):
					t.Fatalf("%s: decoded otherwise (-answered +read):\n%s", update, cmp.Diff(it.Object(), got.Object()))
				}
			}
			if accepted < tries/8 || accepted > tries-tries/20 {
				t.Errorf("%d of %d were accepted: it says little", accepted, tries)
			}
		})
	}
}

// sampleName is a name of the nth object of a kind.
func sampleName(k *schema.Kind, n int) string {
	if k.Kind == "IPAddress" {
		return fmt.Sprintf("10.0.%d.%d", n/200, n%200)
	}
	if k.Kind == "CustomResourceDefinition" {
		return fmt.Sprintf("widgets%d.example.com", n)
	}
	return fmt.Sprintf("%s-%d", strings.ToLower(k.Kind), n)
}

// oddSample is the sample of k with up to two of its values exchanged for odd ones.
func oddSample(t *testing.T, k *schema.Kind, name string, random *rand.Rand) []byte {
	t.Helper()
	namespace := ""
	if k.Namespaced {
		namespace = `,"namespace":"default"`
	}
	plural, _, _ := strings.Cut(name, ".")
	sample := strings.NewReplacer("{name}", name, "{plural}", plural).Replace(samples[k.Kind])
	if k.Kind == "APIService" {
		name = "v1." + name
	}
	text := `{"metadata":{"name":"` + name + `"` + namespace + `,` + times + `},` + sample + `}`
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	all := leaves(tree, nil)
	for range random.Intn(3) {
		all[random.Intn(len(all))](fmt.Sprintf("odd %d.", random.Intn(len(odd))))
	}
	data, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range odd {
		data = bytes.ReplaceAll(data, fmt.Appendf(nil, `"odd %d."`, i), []byte(value))
	}
	return data
}

// writeAs writes data as a client's body: by a create, or by an update of the object or of a subresource.
func writeAs(ctx context.Context, r *registry.Registry, k *schema.Kind, data []byte, update string) (*registry.Item, error) {
	obj, _, err := schema.Decode(k.Stored(), data)
	if err != nil {
		return nil, err
	}
	if update == "create" {
		return r.Create(ctx, k, obj, registry.WriteOptions{Decoded: true})
	}
	return r.Update(ctx, k, obj, registry.WriteOptions{Decoded: true, Subresource: update})
}
