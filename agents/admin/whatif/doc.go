// Package whatif tries a change on a copy of the cluster in memory and reports what would come of it. Nothing of it reaches etcd.
//
// On the copy run the agents that decide where pods go: the real scheduler and the real controllers of workloads. The nodes are played:
// a pod that gets a node is ready at once, one that is deleted is gone at once, and a volume that a claim asks for is made at once. So the
// report says what Gantry would decide; it cannot know that an image is missing or a probe fails.
package whatif
