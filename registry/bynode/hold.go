package bynode

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// HoldKey has the Hold, as long as there is one.
const HoldKey = "/gantry/vanished-pods"

// HoldTime is how long vanished pods are held before they are given up.
const HoldTime = 10 * time.Minute

// Hold is the record of pods that vanished: their keys were deleted past the API, in such a number that a mistake is likelier than the intention.
// Until it ends their copies stay, and with them the containers, and nobody replaces them.
type Hold struct {
	// Revision is etcd's when the last of them were missed. It names the hold: giving up means the pods that were known then.
	Revision int64 `json:"revision"`
	// Since is when that was, Until when they are given up.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Pods are "<namespace>/<name>", sorted; at most maxRecorded.
	Pods []string `json:"pods"`
}

// maxRecorded bounds the pods in the record, which is one value of etcd. Pods beyond it are missed anew by the next leader.
const maxRecorded = 10_000

// ReadHold reads the value of HoldKey.
func ReadHold(value []byte) (h Hold, err error) {
	err = json.Unmarshal(value, &h)
	return h, err
}

func (h Hold) encode() []byte {
	h.Pods = h.Pods[:min(len(h.Pods), maxRecorded)]
	text, err := json.Marshal(h)
	if err != nil {
		panic(err) // cannot happen: strings, a number and times
	}
	return text
}

// Where more pods vanished than one of these numbers and shares at once, they are held. Both must be exceeded. The shares are of
// the pods that are bound to a node, those that vanished included: of all of them, or of one controller's, then its pods alone are held.
const (
	clusterCount, clusterShare           = 4, 1.0 / 3
	largeClusterCount, largeClusterShare = 10, 0.1
	ownerCount, ownerShare               = 2, 0.5
)

// vanishedState is what the decision to hold is made from.
type vanishedState struct {
	owners map[string]string // the uid of the controller of each pod that vanished, by "<ns>/<name>"; "": none
	bound  map[string]int    // how many pods that did not vanish are bound, by the uid of their controller
	total  int               // how many pods are bound, those that vanished included
}

func exceeds(n, total, count int, share float64) bool {
	return n > count && float64(n) > share*float64(total)
}

// toHold are the pods to hold, sorted.
func (s vanishedState) toHold() []string {
	n := len(s.owners)
	if exceeds(n, s.total, clusterCount, clusterShare) || exceeds(n, s.total, largeClusterCount, largeClusterShare) {
		return slices.Sorted(maps.Keys(s.owners))
	}
	lost := map[string]int{}
	for _, owner := range s.owners {
		lost[owner]++
	}
	var pods []string
	for pod, owner := range s.owners {
		if owner != "" && exceeds(lost[owner], lost[owner]+s.bound[owner], ownerCount, ownerShare) {
			pods = append(pods, pod)
		}
	}
	slices.Sort(pods)
	return pods
}
