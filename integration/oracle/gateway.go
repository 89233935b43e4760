package main

import (
	"crypto/tls"
	"path/filepath"
	"time"
)

// plane is a gateway and its embedded etcd in one process.
type plane struct {
	process *process
	server  *server
	pki     string // folder
	etcd    string // URL
}

const serviceRange = "10.96.0.0/16"

// controllers are those whose work kube-apiserver does by itself.
const controllers = "flowschema,apiserviceregistration,apiserviceavailability,customresourcedefinition,bootstrappolicy,systemobjects"

// startGateway starts the gateway with the controllers that are a part of kube-apiserver: no others, no node.
func startGateway(binary, dir string) (*plane, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	p, err := startProcess(dir+"-log", binary, "up", "--agents", "gateway,controllers", "--controllers", controllers, "--data-dir", dir, "--node-name", "oracle",
		"--bind-address", "127.0.0.1", "--secure-port", ports[0], "--etcd-port", ports[1], "--service-cluster-ip-range", serviceRange)
	if err != nil {
		return nil, err
	}
	out := &plane{process: p, pki: filepath.Join(dir, "pki"), etcd: "https://127.0.0.1:" + ports[1]}
	err = p.waitFor(func() bool {
		cert, err := tls.LoadX509KeyPair(filepath.Join(out.pki, "admin.crt"), filepath.Join(out.pki, "admin.key"))
		if err != nil {
			return false
		}
		out.server = newServer("gantry", "https://127.0.0.1:"+ports[0], cert)
		return out.server.ready(time.Second)
	})
	if err != nil {
		p.end()
		return nil, err
	}
	return out, nil
}
