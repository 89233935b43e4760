package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// podBody is a pod as a client sends it, 1.9 KB: two containers with environment, probes, resources and volumes.
func podBody(name string, labels map[string]string) []byte {
	text, _ := json.Marshal(labels) // a map of strings always marshals
	return []byte(strings.NewReplacer("NAME", name, `"LABELS"`, string(text)).Replace(podTemplate))
}

var podTemplate = compact(`{
"kind":"Pod","apiVersion":"v1",
"metadata":{"name":"NAME","labels":"LABELS","annotations":{"prometheus.io/scrape":"true","prometheus.io/port":"9102","checksum/config":"5f2b8d1c0a9e7f6b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b"}},
"spec":{
"containers":[
{"name":"web","image":"registry.example.com/shop/web:v1.42.7","args":["--listen=:8080","--upstream=http://api.shop.svc:8080","--log-format=json"],
"ports":[{"name":"http","containerPort":8080},{"name":"metrics","containerPort":9102}],
"env":[{"name":"POD_NAME","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},{"name":"POD_IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},{"name":"GOMEMLIMIT","value":"230MiB"},{"name":"REGION","value":"eu-central-1"},{"name":"FEATURES","value":"checkout,search,recommendations"}],
"resources":{"limits":{"memory":"256Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},
"readinessProbe":{"httpGet":{"path":"/readyz","port":8080},"periodSeconds":5},
"livenessProbe":{"httpGet":{"path":"/livez","port":8080},"initialDelaySeconds":10},
"volumeMounts":[{"name":"config","mountPath":"/etc/web"},{"name":"cache","mountPath":"/var/cache/web"}],
"securityContext":{"runAsNonRoot":true,"runAsUser":10001,"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}},
{"name":"proxy","image":"registry.example.com/platform/proxy:1.9.3","args":["--config=/etc/proxy/proxy.yaml"],"ports":[{"name":"proxy","containerPort":15001}],
"resources":{"requests":{"cpu":"20m","memory":"32Mi"}},"volumeMounts":[{"name":"config","mountPath":"/etc/proxy"}]}],
"volumes":[{"name":"config","configMap":{"name":"web-config"}},{"name":"cache","emptyDir":{"sizeLimit":"64Mi"}}],
"nodeSelector":{"kubernetes.io/os":"linux"},"terminationGracePeriodSeconds":30
}}`)

// podStatus is the status of a pod that runs, put in place of the STATUS of a served pod.
var podStatus = compact(`{"phase":"Running","conditions":[
{"type":"PodReadyToStartContainers","status":"True","observedGeneration":1,"lastProbeTime":null,"lastTransitionTime":"2026-11-21T10:00:02Z"},
{"type":"Initialized","status":"True","observedGeneration":1,"lastProbeTime":null,"lastTransitionTime":"2026-11-21T10:00:00Z"},
{"type":"Ready","status":"True","observedGeneration":1,"lastProbeTime":null,"lastTransitionTime":"2026-11-21T10:00:07Z"},
{"type":"ContainersReady","status":"True","observedGeneration":1,"lastProbeTime":null,"lastTransitionTime":"2026-11-21T10:00:07Z"},
{"type":"PodScheduled","status":"True","observedGeneration":1,"lastProbeTime":null,"lastTransitionTime":"2026-11-21T10:00:00Z"}],
"message":"turn 0000000000","hostIP":"10.0.3.17","hostIPs":[{"ip":"10.0.3.17"}],"podIP":"10.244.3.201","podIPs":[{"ip":"10.244.3.201"}],"startTime":"2026-11-21T10:00:00Z",
"containerStatuses":[
{"name":"web","state":{"running":{"startedAt":"2026-11-21T10:00:02Z"}},"lastState":{},"ready":true,"restartCount":0,"image":"registry.example.com/shop/web:v1.42.7","imageID":"registry.example.com/shop/web@sha256:8e1b7c5f4d3a2b1c0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0d9c8b7a","containerID":"docker://4f9d0c1b2a3e5d6c7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6","started":true},
{"name":"proxy","state":{"running":{"startedAt":"2026-11-21T10:00:03Z"}},"lastState":{},"ready":true,"restartCount":0,"image":"registry.example.com/platform/proxy:1.9.3","imageID":"registry.example.com/platform/proxy@sha256:1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809","containerID":"docker://0c1b2a3e5d6c7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708","started":true}],
"qosClass":"Burstable"}`)

// configMap is an object whose watch event is about 1 KB.
func configMap(name string, turn int) []byte {
	return fmt.Appendf(nil, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q},"data":{"turn":"%d","text":%q}}`, name, turn, configText)
}

var configText = strings.Repeat("kilobyte of configuration, ", 29)

func compact(text string) string { return strings.ReplaceAll(text, "\n", "") }
