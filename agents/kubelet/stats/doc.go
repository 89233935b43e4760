// Package stats reads what the node, its pods and their containers use: CPU and memory from the files of control groups of version 1 and 2, the
// network from the files of network namespaces, the disk from statfs. It reads when it is asked and only then; the engine is not called.
//
// A container's groups are those of its first process, below the directory that the engine named by the container's ID, with its cgroupfs
// driver ("/docker/<id>") as with systemd ("/system.slice/docker-<id>.scope"). The working set is what is used without the inactive page
// cache, as in cAdvisor. What cannot be read, or does not look like a number, is left out.
package stats
