//go:build !linux

package main

import "os/exec"

// bindToParent has nothing to bind with here: the child is stopped in order,
// and shares the terminal's Ctrl-C.
func bindToParent(*exec.Cmd) {}
