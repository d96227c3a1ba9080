package main

import (
	"archive/zip"
	"testing"
)

// zipNames lists a zip archive; there is no unzip on every machine.
func zipNames(t *testing.T, file string) []string {
	t.Helper()
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
	}
	return names
}
