// Package cel compiles and type checks the CEL expressions of objects, with Kubernetes' libraries, limits and error texts.
//
// Admission is for expressions about requests: those of admission policies and the match conditions of webhooks. CompileDevice is for
// selectors of devices. A compiled expression is a Program, which can be evaluated many times, by several goroutines at once.
//
// Environments are made on first use: a process in which nobody writes an expression has none.
package cel
