// Package faults breaks what Gantry stands on and looks at what its users then see: etcd killed, stopped, partitioned, full,
// corrupt, restored and full of rubbish; watchers that never read; leaders that were asleep. The programs are real ones, each on
// a machine of its own (a network namespace on one bridge). Run it with ./scripts/faults; it takes a quarter of an hour and is
// not a part of ./scripts/test. README.md lists what is tried and how it went.
//
// What is asked after a fault: no acknowledged write is lost; a write whose outcome is unknown is no success; whoever watches
// through a gateway has seen etcd's own history; nothing that was not asked for was done; and all of it without a restart.
package faults
