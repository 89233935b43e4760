// Package controller is what the controllers of Gantry are made of: a controller is a value (Controller), its code returns a
// Reconciler made for an Env, and what it wants done is a plan of Actions.
//
// # Contract
//
//   - New of a row starts nothing. Watches turn changes into keys and may neither block nor act; Reconcile is called with a key, on
//     several goroutines for different keys and never twice at a time for one.
//   - Reconcile reads from the cache, makes a plan (a pure function of what it read and of the time) and executes it with Env.Execute:
//     in order, up to the first error, and not returning before the cache shows what was written. So the next Reconcile of the key sees
//     what this one did.
//   - An Update is of the object as it was read: when somebody changed it meanwhile it is a Conflict, and the key is reconciled again.
//   - Env.Registry refuses kinds that the row does not declare: reads of those not in Reads, writes of those not in Writes.
//   - Objects from the cache are shared and read-only; a plan has copies.
package controller
