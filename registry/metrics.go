package registry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	quarantined = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gantry_quarantined_values",
		Help: "Values in etcd that cannot be read and are served to nobody.",
	}, []string{"resource"})
	storedObjects = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "apiserver_storage_objects",
		Help: "Objects in the cache, by resource.",
	}, []string{"resource"})
)
