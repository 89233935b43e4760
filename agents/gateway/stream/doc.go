// Package stream connects clients with the kubelet of a pod's node: exec, attach, port-forward and logs.
//
// A node writes its own address, so whoever answers there must show that node's certificate for that address before it gets a
// byte; addresses that lead back into this machine, to services or to a cloud's metadata are refused. No redirect is followed.
// Every failure to reach a kubelet has one text, so that a node cannot probe the network through the gateway.
package stream
