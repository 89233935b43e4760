// Package customkinds tests custom kinds through a gateway with the controllers beside it, in process and on etcd's fake: with kubectl and with
// client-go's dynamic client.
package customkinds
