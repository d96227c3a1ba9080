package main

import (
	"fmt"
	"runtime"
)

type versionCmd struct{}

// Run prints version, commit and Go version on one line each.
func (*versionCmd) Run(a *app) error {
	_, err := fmt.Fprintf(a.out, "stagedoor  %s\ncommit     %s\ngo         %s %s/%s\n",
		version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
