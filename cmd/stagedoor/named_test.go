package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/alecthomas/kong"
)

// namedCommand is a command as the pages write it: at the beginning of a line
// of a block, after a pipe, or in the middle of a sentence.
var namedCommand = regexp.MustCompile("(?m)(?:^|`|\\| )(?:bin/)?stagedoor ([a-z]+)\\b( --?[a-z][a-z-]*)?")

// TestEveryNamedCommandExists looks for the commands that README and docs name.
func TestEveryNamedCommandExists(t *testing.T) {
	var c cli
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]map[string]bool{}
	for _, node := range parser.Model.Children {
		flags[node.Name] = map[string]bool{}
		for _, group := range node.AllFlags(false) {
			for _, flag := range group {
				flags[node.Name]["--"+flag.Name] = true
			}
		}
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, page := range append(pages, "../../README.md", "../../SECURITY.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range namedCommand.FindAllStringSubmatch(string(text), -1) {
			named[found[1]] = true
			if known, ok := flags[found[1]]; !ok {
				t.Errorf("%s: there is no command %s", page, found[1])
			} else if flag := found[2]; flag != "" && !known[flag[1:]] {
				t.Errorf("%s: %s has no flag%s", page, found[1], flag)
			}
		}
	}
	for command := range flags {
		if !named[command] {
			t.Errorf("no page names %s", command)
		}
	}
}
