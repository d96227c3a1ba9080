//go:build !linux

package devserver

import "os/exec"

// bindToParent does nothing here: the child gets the terminal's Ctrl-C too, and
// stop ends it in order.
func bindToParent(*exec.Cmd) {}
