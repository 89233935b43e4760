package scheduler

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// BenchmarkDecisions is the time to apply and schedule the pods of one template, without writing anything.
func BenchmarkDecisions(b *testing.B) {
	shapes := map[string][]func(*corev1.Pod){
		"plain":  {ownedBy("rs")},
		"apart":  {ownedBy("rs"), podLabel("app", "web"), apart("zone", "app", "db")},
		"spread": {ownedBy("rs"), podLabel("app", "web"), spreadOver(corev1.LabelHostname, 1, "app", "web")},
	}
	for name, shape := range shapes {
		for _, size := range []struct{ nodes, pods int }{{200, 1000}, {1000, 3000}} {
			b.Run(fmt.Sprintf("%s/%dx%d", name, size.nodes, size.pods), func(b *testing.B) {
				nodes, pods := plainNodes(size.nodes), []*corev1.Pod(nil)
				for i := range size.pods {
					pods = append(pods, aPod(fmt.Sprintf("p%d", i), append(shape, requests("cpu", "100m"))...))
				}
				for b.Loop() {
					s := newTestState(nodes, pods...)
					for range pods {
						if d := mustScheduleOne(b, s, start); d.node == nil {
							b.Fatal(d.why)
						}
					}
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(size.pods), "ns/pod")
			})
		}
	}
}

// BenchmarkUnplaceable is the time to find out that no pod of a template fits.
func BenchmarkUnplaceable(b *testing.B) {
	nodes, pods := plainNodes(200), []*corev1.Pod(nil)
	for i := range 1000 {
		pods = append(pods, aPod(fmt.Sprintf("p%d", i), requests("cpu", "100")))
	}
	for b.Loop() {
		s := newTestState(nodes, pods...)
		for range pods {
			mustScheduleOne(b, s, start)
		}
	}
}

// BenchmarkRun is the time from the creation of 1,000 pods until all are bound, 200 nodes, store in memory.
func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c := newCluster(b)
		for _, n := range plainNodes(200) {
			c.addNode(b, n)
		}
		names := numbered(1000)
		for _, name := range names {
			c.addPod(b, name, requests("cpu", "100m"), ownedBy("rs"))
		}
		b.StartTimer()
		began := time.Now()
		stop := c.schedule(b, "a")
		c.await(b, "bound", hasNode, names...)
		b.ReportMetric(time.Since(began).Seconds()*1000, "ms/1000pods")
		b.StopTimer()
		stop()
		b.StartTimer()
	}
}
