//go:build tools

package main

// What the oracle builds from source.
import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
)
