//go:build !linux

package deploy

import "errors"

const jailed = "-stagedoor-jailed"

func enterJail(string, string, []string) error { return errors.New("there is no such jail here") }
