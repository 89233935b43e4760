package gateway_test

import (
	"strings"
	"testing"

	"gantry/agents/gateway/gatewaytest"
)

const webDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]
`

const sixService = `apiVersion: v1
kind: Service
metadata: {name: six}
spec: {ipFamilyPolicy: PreferDualStack, clusterIP: "fd00:10:96::9", ports: [{port: 80}]}
`

// TestKubectl walks through what people do with kubectl. No agent runs behind the gateway, so objects stay as written.
func TestKubectl(t *testing.T) {
	c := gatewaytest.New(t)
	steps := []struct {
		stdin string
		args  string
		want  []string
	}{
		{"", "version", []string{"Server Version: v1.36."}},
		{"", "api-resources", []string{"pods", "po", "deployments", "endpointslices", "tokenreviews"}},
		{"", "api-versions", []string{"apps/v1", "authorization.k8s.io/v1"}},
		{"", "auth whoami", []string{"kubernetes-admin", "system:masters", "system:authenticated"}},
		{"", "auth can-i create pods", []string{"yes"}},
		{"", "auth can-i --list", []string{"*.*"}},
		{"", "! auth can-i create pods --as=nobody", []string{"no"}},
		{"", "auth can-i --list --as=nobody", []string{"selfsubjectreviews.authentication.k8s.io", "[create]", "[/healthz]", "[/apis/*]"}},
		{"", "create configmap cm --from-literal=a=1", []string{"configmap/cm created"}},
		{"", "get cm cm -o jsonpath={.data.a}", []string{"1"}},
		{"", "! create configmap cm", []string{`configmaps "cm" already exists`}},
		{"", "label cm cm x=y", []string{"configmap/cm labeled"}},
		{"", "get cm -l x=y -o name", []string{"configmap/cm"}},
		{"", "annotate cm cm note=hello", []string{"annotated"}},
		{"", `patch cm cm -p {"data":{"b":"2"}}`, []string{"patched"}},
		{"", `patch cm cm --type=json -p [{"op":"add","path":"/data/c","value":"3"}]`, []string{"patched"}},
		{"", `patch cm cm --type=merge -p {"data":{"a":null}}`, []string{"patched"}},
		{"", "get cm cm -o jsonpath={.data}", []string{`{"b":"2","c":"3"}`}},
		{webDeployment, "apply -f -", []string{"deployment.apps/web created"}},
		{webDeployment, "apply -f -", []string{"deployment.apps/web unchanged"}},
		{strings.Replace(webDeployment, "web:1", "web:2", 1), "diff -f -", nil},
		{strings.Replace(webDeployment, "web:1", "web:2", 1), "apply -f -", []string{"deployment.apps/web configured"}},
		{"", "get deploy", []string{"NAME", "READY", "UP-TO-DATE", "web", "0/2"}},
		{"", "get deploy -o wide", []string{"CONTAINERS", "web:2", "app=web"}},
		{"", "get deploy,cm -A", []string{"NAMESPACE", "deployment.apps/web", "configmap/cm"}},
		{"", "scale deploy web --replicas=5", []string{"scaled"}},
		{"", "get deploy web -o jsonpath={.spec.replicas}", []string{"5"}},
		{"", `! patch deploy web -p {"spec":{"template":{"spec":{"containers":[{"image":"x"}]}}}}`, []string{"Error from server: map: map[image:x] does not contain declared merge key: name"}},
		{"", "rollout restart deploy web", []string{"restarted"}},
		{"", "set image deploy web web=web:3", []string{"image updated"}},
		{"", "expose deploy web --port 80", []string{"service/web exposed"}},
		{"", "get svc web", []string{"ClusterIP", "10.96.", "80/TCP"}},
		{"", "get svc web -o jsonpath={.spec.ipFamilyPolicy}{.spec.ipFamilies}", []string{`SingleStack["IPv4"]`}},
		{"", `patch svc web -p {"spec":{"ipFamilyPolicy":"RequireDualStack"}}`, []string{"patched"}},
		{"", "get svc web -o jsonpath={.spec.ipFamilies}{.spec.clusterIPs}", []string{`["IPv4","IPv6"]["10.96.`, `"fd00:10:96::`}},
		{"", "get ipaddresses -l ipaddress.kubernetes.io/ip-family=IPv6", []string{"fd00:10:96::", "services/default/web"}},
		{"", "describe svc web", []string{"RequireDualStack", "IPv4,IPv6", "fd00:10:96::"}},
		{"", `! patch svc web -p {"spec":{"ipFamilies":["IPv4"]}}`, []string{"must be 'SingleStack' to release the secondary IP family"}},
		{"", `patch svc web -p {"spec":{"ipFamilyPolicy":"SingleStack"}}`, []string{"patched"}},
		{"", "get svc web -o jsonpath={.spec.ipFamilies}", []string{`["IPv4"]`}},
		{"", "get ipaddresses -l ipaddress.kubernetes.io/ip-family=IPv6", []string{"No resources found"}},
		{sixService, "apply -f -", []string{"service/six created"}},
		{sixService, "apply -f -", []string{"service/six unchanged"}},
		{"", "get svc six", []string{"fd00:10:96::9", "80/TCP"}},
		{"", "delete svc six", []string{"deleted"}},
		{"", "describe deploy web", []string{"Selector:", "app=web", "5 desired"}},
		{"", "explain pod.spec.nodeName", []string{"FIELD: nodeName"}},
		{"", "run p --image=img", []string{"pod/p created"}},
		{"", "get pods", []string{"NAME", "STATUS", "Pending"}},
		{"", "get pod p -o yaml", []string{"kind: Pod", "schedulerName: default-scheduler"}},
		{"", "describe pod p", []string{"Name:", "Node:"}},
		{"", "get pods --field-selector=status.phase=Pending -o name", []string{"pod/p"}},
		{"", "wait pod p --for=jsonpath={.status.phase}=Pending --timeout=5s", []string{"condition met"}},
		{"", "create token default", []string{"ey"}},
		{"", "get events", nil},
		{"", "cluster-info", []string{"is running at"}},
		{"", "get --raw /readyz", []string{"ok"}},
		{"", "delete pod p --wait=true --timeout=10s", []string{`pod "p" deleted`}},
		{"", "! get pod p", []string{`Error from server (NotFound): pods "p" not found`}},
		{"", "delete cm --all", []string{`configmap "cm" deleted`}},
		{"", "delete deploy web --cascade=orphan --wait=false", []string{"deleted"}},
		{"", "get all", []string{"service/web"}},
	}
	for _, s := range steps {
		args := strings.Fields(s.args)
		if strings.HasPrefix(s.args, "diff") {
			args = append([]string{"!"}, args...) // differences are exit code 1
		}
		out := c.Kubectl(s.stdin, args...)
		for _, want := range s.want {
			if !strings.Contains(out, want) {
				t.Errorf("kubectl %s: got\n%s\nwant %q in it", s.args, out, want)
			}
		}
	}
}
