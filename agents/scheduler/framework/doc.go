// Package framework is what plug-ins of the scheduler are made of and work on: the row of a plug-in (Plugin) and the set of all rows
// (PluginSet), nodes and pods with their sums (NodeInfo, PodInfo, ClusterState), what decides where a pod may run (PodSignature), and what a
// plug-in keeps for a signature (PreFilterState). SelectNode filters and scores.
//
// Nothing in it reads a clock, blocks, or is safe for concurrent use, but PluginSet.PreBind: everything else belongs to the goroutine of the
// scheduling loop. Nodes, pods and the cluster state are read-only for plug-ins.
package framework
