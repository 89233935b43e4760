package proxy

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	syncDuration = promauto.NewHistogram(prometheus.HistogramOpts{
		Name:    "kubeproxy_sync_proxy_rules_duration_seconds",
		Help:    "SyncProxyRules latency in seconds",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
	})
	lastSync = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
		Help: "The last time proxy rules were successfully synced",
	})
	elementsChanged = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gantry_proxy_elements_changed_total",
		Help: "Elements of the nftables table added and deleted",
	})
	syncFailures = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gantry_proxy_sync_failures_total",
		Help: "Times the nftables table could not be programmed",
	})
	repairs = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gantry_proxy_foreign_changes_total",
		Help: "Times another program changed the nftables table",
	})
)
