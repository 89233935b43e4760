package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// privilege makes a container privileged. Where the engine cannot (it lacks a capability itself, so that every
// --privileged container fails to start), the container gets all there is: every capability the engine has, every device, no
// seccomp, AppArmor or SELinux confinement, and nothing of /proc hidden.
func privilege(h *container.HostConfig, f features) error {
	if f.privileged {
		h.Privileged = true
		return nil
	}
	h.CapAdd, h.CapDrop = []string{"ALL"}, f.missing
	h.SecurityOpt = append(h.SecurityOpt, "seccomp=unconfined", "label=disable")
	if f.appArmor {
		h.SecurityOpt = append(h.SecurityOpt, "apparmor=unconfined")
	}
	h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{}
	h.DeviceCgroupRules = []string{"a *:* rwm"}
	devices, err := hostDevices("/dev")
	h.Devices = append(h.Devices, devices...)
	return err
}

// hostDevices are the devices below dir, but for those that every container has of its own.
func hostDevices(dir string) ([]container.DeviceMapping, error) {
	var all []container.DeviceMapping
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case os.IsNotExist(err): // devices come and go
			return nil
		case err != nil:
			return err
		case d.IsDir():
			if own := map[string]bool{"pts": true, "shm": true, "fd": true, "mqueue": true, ".lxc": true, ".udev": true}; own[rel] {
				return fs.SkipDir
			}
		case d.Type()&fs.ModeDevice != 0 && rel != "console" && rel != "ptmx" && rel != "tty":
			all = append(all, container.DeviceMapping{PathOnHost: path, PathInContainer: path, CgroupPermissions: "rwm"})
		}
		return nil
	})
	return all, err
}

// capabilityTable are the names of Linux' capabilities, in the order of their numbers, up to the last that every supported
// engine knows by name.
var capabilityTable = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
	NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
	SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
	MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ`)

// missingCapabilities reads what a process' bounding set lacks from its /proc/<pid>/status:
//
//	CapBnd:	000001fffeffffff
func missingCapabilities(status string) []string {
	_, rest, _ := strings.Cut(status, "CapBnd:")
	line, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		return nil
	}
	var names []string
	for i, name := range capabilityTable {
		if mask&(1<<i) == 0 {
			names = append(names, name)
		}
	}
	return names
}
