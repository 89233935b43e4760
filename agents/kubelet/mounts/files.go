package mounts

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"gantry/agents/internal/resolvconf"
	"gantry/agents/kubelet/dns"
	"gantry/agents/kubelet/engine"
	"gantry/agents/kubelet/volumes"
)

// Files of a pod's directory, and where they appear in its containers.
const (
	hostsFile    = "etc-hosts"
	resolvFile   = "resolv.conf"
	hostnameFile = "hostname"
)

// ClusterDNS is what pods resolve names by.
type ClusterDNS struct {
	Servers []netip.Addr
	Domain  string
}

// WritePodFiles writes, to the pod's directory, what every container of the pod sees below /etc. They are written in place: they may be
// mounted. warnings are those of dns.PodResolver.
func WritePodFiles(dir string, pod *corev1.Pod, podIPs []netip.Addr, cluster ClusterDNS) (warnings []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the pod's directory: %w", err)
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the node's hosts: %w", err)
	}
	resolver, warnings := dns.PodResolver(pod, resolvconf.Host(), cluster.Servers, cluster.Domain)
	files := map[string]string{
		hostsFile:    dns.HostsFile(pod, podIPs, string(hosts), cluster.Domain),
		resolvFile:   resolver.String(),
		hostnameFile: dns.Hostname(pod) + "\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("writing the pod's %s: %w", name, err)
		}
	}
	return warnings, nil
}

// PodFileMounts are the mounts of WritePodFiles' files in the pod's directory, but for places where the container mounts something itself.
func PodFileMounts(pod *corev1.Pod, c *corev1.Container, dir string) []engine.Mount {
	var all []engine.Mount
	add := func(file, at string) {
		if !mounted(c, at) {
			all = append(all, engine.Mount{Source: filepath.Join(dir, file), Target: at})
		}
	}
	add(hostsFile, "/etc/hosts")
	add(resolvFile, "/etc/resolv.conf")
	if !pod.Spec.HostNetwork {
		add(hostnameFile, "/etc/hostname")
	}
	return all
}

// MessageMount makes the file behind an attempt's terminationMessagePath.
func MessageMount(c *corev1.Container, attempt int, podDir string) ([]engine.Mount, error) {
	if c.TerminationMessagePath == "" || mounted(c, c.TerminationMessagePath) {
		return nil, nil
	}
	dir, err := volumes.Join(podDir, "containers", c.Name)
	if err == nil {
		err = os.MkdirAll(dir, 0o750)
	}
	if err != nil {
		return nil, fmt.Errorf("making the container's directory: %w", err)
	}
	file := filepath.Join(dir, strconv.Itoa(attempt))
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		return nil, fmt.Errorf("making the termination message's file: %w", err)
	}
	if err := os.Chmod(file, 0o666); err != nil { // past the umask: any user of the container may write
		return nil, fmt.Errorf("opening the termination message's file: %w", err)
	}
	return []engine.Mount{{Source: file, Target: c.TerminationMessagePath}}, nil
}
