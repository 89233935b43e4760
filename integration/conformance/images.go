package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// testImage is a stand-in for an image of the suite, for no registry may be reachable: a shell script fills $root, from
// the Debian root $debian and the built programs in $bin; docker import makes the image.
type testImage struct {
	names   []string
	fill    string
	changes []string // Dockerfile instructions of docker import
	pulled  bool     // the registry has it, too: a test asks for a pull
}

const e2e = "registry.k8s.io/e2e-test-images/"

// testImages are those that conformance tests start. What they are upstream: k8s.io/kubernetes/test/images, and
// test/utils/image/manifest.go for the names.
var testImages = []testImage{
	{
		names:   []string{e2e + "agnhost:2.63.0", e2e + "agnhost:2.55"},
		fill:    agnhost,
		changes: []string{`ENTRYPOINT ["/agnhost"]`, `CMD ["pause"]`, `EXPOSE 80 8080 8081 9376 5000`},
	},
	{
		names: []string{e2e + "nautilus:1.8"},
		fill:  agnhost + `cp "$images"/nautilus/html/* "$root/"`, changes: []string{`ENTRYPOINT ["/agnhost"]`, `CMD ["test-webserver"]`},
	},
	{
		names: []string{e2e + "kitten:1.8"},
		fill: agnhost + `cp "$images"/kitten/html/* "$root/"
rm "$root/etc/os-release"; echo 'NAME="Alpine Linux"' >"$root/etc/os-release"`,
		changes: []string{`ENTRYPOINT ["/agnhost"]`, `CMD ["test-webserver"]`},
		pulled:  true,
	},
	{
		names: []string{e2e + "glibc-dns-testing:2.0.0", e2e + "perl:5.26", e2e + "ipc-utils:1.4"},
		fill:  `cp -a "$debian/." "$root/"`, changes: []string{`CMD ["bash"]`},
	},
	{
		names: []string{e2e + "nginx:1.15-4", e2e + "nginx:1.27-0"},
		fill: `cp -a "$debian/." "$root/"
ln -sf /dev/stdout "$root/var/log/nginx/access.log"; ln -sf /dev/stderr "$root/var/log/nginx/error.log"
mkdir -p "$root/usr/share/nginx/html"; echo '<title>Welcome to nginx!</title>' >"$root/var/www/html/index.html"`,
		changes: []string{`CMD ["nginx", "-g", "daemon off;"]`, `EXPOSE 80`},
	},
	{names: []string{e2e + "busybox:1.37.0-1"}, fill: busybox, changes: []string{`CMD ["sh"]`}},
	{names: []string{e2e + "nonroot:1.5"}, fill: busybox, changes: []string{`CMD ["sh"]`, `USER 1234`}},
	{
		names:   []string{e2e + "nonewprivs:1.4"},
		fill:    busybox + `mkdir -p "$root/usr/local/bin"; cp "$bin/nnp" "$root/usr/local/bin/nnp"; chmod u+s,g+s "$root/usr/local/bin/nnp"`,
		changes: []string{`CMD ["nnp"]`, `ENV PATH=/usr/local/bin:/bin`},
	},
	{names: []string{"registry.k8s.io/pause:3.10.2"}, fill: `cp "$bin/agnhost" "$root/pause"`, changes: []string{`ENTRYPOINT ["/pause", "pause"]`}},
	{names: []string{"registry.k8s.io/etcd:3.6.8-0"}, fill: `mkdir -p "$root/usr/local/bin"; cp "$bin/etcd" "$root/usr/local/bin/"`, changes: []string{`CMD ["/usr/local/bin/etcd"]`}},
	{names: []string{e2e + "sample-apiserver:1.29.2"}, fill: `cp "$bin/sample-apiserver" "$root/"`, changes: []string{`ENTRYPOINT ["/sample-apiserver"]`}},
}

const agnhost = `cp -a "$debian/." "$root/"
cp "$bin/agnhost" "$root/agnhost"; ln -s agnhost "$root/agnhost-2"
mkdir -p "$root/uploads"; cp "$images"/agnhost/porter/localhost.* "$root/"
chroot "$root" sh -c 'useradd -u 1000 -M user-defined-in-image; groupadd -g 50000 group-defined-in-image; usermod -aG group-defined-in-image user-defined-in-image'
`

// Tests compare ash's messages, and set environment variables whose names are none of a shell's: Debian's ash drops these.
const busybox = `mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root" "$root/usr"; chmod 1777 "$root/tmp"
cp "$(command -v busybox)" "$root/bin/busybox"; cp /bin/bash-static "$root/bin/bash"
cat >"$root/bin/sh" <<'END'
#!/bin/bash
# ash, or bash where the environment has variables that ash would drop.
while IFS= read -r -d '' v; do
  [[ ${v%%=*} =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || exec -a "$0" /bin/bash "$@"
done </proc/self/environ
exec -a "$0" /bin/busybox "$@"
END
chmod +x "$root/bin/sh"
for a in $("$root/bin/busybox" --list); do [ -e "$root/bin/$a" ] || ln -s busybox "$root/bin/$a"; done
ln -s ../bin "$root/usr/bin"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
`

// rootPackages are the tools that tests call in agnhost and its like.
var rootPackages = []string{
	"bash", "curl", "dnsutils", "netcat-openbsd", "net-tools", "iproute2", "iputils-ping", "nginx-light", "procps", "util-linux", "conntrack", "e2fsprogs", "perl",
}

// versionLabel has what an image was made from: see testImage.version.
const versionLabel = "io.gantry.conformance"

// version is short for what the image is made from.
func (i testImage) version() string {
	return fmt.Sprintf("%.6x", sha256.Sum256(fmt.Append(nil, i.fill, i.changes, rootPackages)))
}

// made returns whether the node's engine has the image, made from the same as now.
func (i testImage) made(ctx context.Context, n *node) bool {
	for _, name := range i.names {
		out, err := command(ctx, "docker", "--host", n.dockerHost(), "image", "inspect", "--format", `{{index .Config.Labels "`+versionLabel+`"}}`, name).Output()
		if err != nil || strings.TrimSpace(string(out)) != i.version() {
			return false
		}
	}
	return true
}

// makeImages makes those images that the node's engine lacks.
func (r *run) makeImages(ctx context.Context, n *node) error {
	missing := slices.DeleteFunc(slices.Clone(testImages), func(i testImage) bool { return i.made(ctx, n) })
	if len(missing) == 0 {
		return nil
	}
	debian, err := r.debianRoot(ctx)
	if err != nil {
		return err
	}
	for _, i := range missing {
		say("%s: making image %s", n.name, strings.Join(i.names, ", "))
		if err := r.makeImage(ctx, n, i, debian); err != nil {
			return fmt.Errorf("making image %s: %w", i.names[0], err)
		}
	}
	return nil
}

func (r *run) makeImage(ctx context.Context, n *node, i testImage, debian string) error {
	root, err := os.MkdirTemp(r.work, "root")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	args := ""
	for _, c := range append(slices.Clone(i.changes), "LABEL "+versionLabel+"="+i.version()) {
		args += " --change " + quote(c)
	}
	script := "set -e\n" + i.fill + "\nchmod 755 \"$root\"; tar -C \"$root\" -c . | docker import" + args + " - " + quote(i.names[0]) + "\n"
	for _, n := range i.names[1:] {
		script += "docker tag " + quote(i.names[0]) + " " + quote(n) + "\n"
	}
	c := command(ctx, "bash", "-c", script)
	c.Env = append(c.Env, "root="+root, "DOCKER_HOST="+n.dockerHost(), "debian="+debian, "bin="+r.bin, "images="+filepath.Join(r.suite, "test/images"))
	return loud(c)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// debianRoot is a small Debian with rootPackages, made once.
func (r *run) debianRoot(ctx context.Context) (string, error) {
	root, packages := filepath.Join(r.bin, "debian"), strings.Join(rootPackages, ",")
	list := root + ".packages" // written when root is complete
	if has, err := os.ReadFile(list); err == nil && string(has) == packages {
		return root, nil
	}
	for _, need := range []struct{ program, pkg string }{{"debootstrap", "debootstrap"}, {"busybox", "busybox-static"}, {"bash-static", "bash-static"}} {
		if _, err := exec.LookPath(need.program); err == nil {
			continue
		}
		if err := loud(command(ctx, "apt-get", "install", "-y", "--no-install-recommends", need.pkg)); err != nil {
			return "", fmt.Errorf("installing %s: %w", need.pkg, err)
		}
	}
	say("making a Debian root")
	if err := errors.Join(os.RemoveAll(root), os.RemoveAll(list)); err != nil {
		return "", err
	}
	if err := loud(command(ctx, "debootstrap", "--variant=minbase", "--include="+packages, "bookworm", root)); err != nil {
		return "", err
	}
	return root, os.WriteFile(list, []byte(packages), 0o644)
}
