// Package disruption has the controller of pod disruption budgets. It keeps in each budget's status how many of its pods may be disrupted;
// evictions take from that in the transaction that deletes the pod (registry/admit, PodEviction). It also resets conditions
// DisruptionTarget of pods that were not deleted after all.
package disruption
