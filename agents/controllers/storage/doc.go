// Package storage has the controllers of persistent volumes: the binder with the local volumes that it provisions, their class, the claims of ephemeral
// volumes, the growth of claims, and the protection of what is used.
package storage
