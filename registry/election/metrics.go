package election

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var masterStatus = promauto.NewGaugeVec(prometheus.GaugeOpts{
	Name: "leader_election_master_status",
	Help: "1 while this process leads the election, 0 otherwise.",
}, []string{"name"})
