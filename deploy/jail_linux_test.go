package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// jailed is the argument that makes this test's program enterJail.
const jailed = "-stagedoor-jailed"

// jail returns a command that runs args with root as its read-only root
// directory, dir in it as the only place that can be written to, and the
// user's number as its own.
func jail(root, user, dir string, args ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", append([]string{jailed, root, user + dir}, args...)...)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	return c
}

// enterJail returns only where it fails.
func enterJail(root, userAndDir string, args []string) error {
	user, dir, _ := strings.Cut(userAndDir, "/")
	uid, gid, _ := strings.Cut(user, ":")
	u, err := strconv.Atoi(uid)
	if err != nil {
		return err
	}
	g, err := strconv.Atoi(gid)
	if err != nil {
		return err
	}
	data := filepath.Join(root, dir)
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"private mounts", func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") }},
		{"root", func() error { return syscall.Mount(root, root, "", syscall.MS_BIND, "") }},
		{"volume", func() error {
			return syscall.Mount("tmpfs", data, "tmpfs", 0, fmt.Sprintf("uid=%d,gid=%d,mode=700", u, g))
		}},
		{"read-only root", func() error {
			return syscall.Mount("", root, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
		}},
		{"chroot", func() error { return syscall.Chroot(root) }},
		{"groups", func() error { return syscall.Setgroups(nil) }},
		{"group", func() error { return syscall.Setgid(g) }},
		{"user", func() error { return syscall.Setuid(u) }},
		{"working directory", func() error { return os.Chdir("/" + dir) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	// The proof that what follows proves something.
	if err := os.WriteFile("/written", nil, 0o600); err == nil {
		return fmt.Errorf("the root directory can be written to")
	}
	return syscall.Exec(args[0], args, os.Environ())
}
