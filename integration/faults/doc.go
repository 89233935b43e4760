// Package faults tests Gantry under faults and checks what its clients then see: etcd killed, stopped, partitioned, full,
// corrupt, restored and with values that cannot be read; watchers that never read; leaders that were stopped. The programs are real
// ones, each in a network namespace ("machine") on one bridge. Run it with ./scripts/faults; it takes a quarter of an hour and is
// not a part of ./scripts/test. README.md lists what is tried and how it went.
//
// Checked after a fault: no acknowledged write is lost; a write of unknown outcome is not reported as a success; watchers have seen
// etcd's own history; nothing was done that was not requested; no process had to be restarted.
package faults
