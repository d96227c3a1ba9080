package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tree is the repository that the tests are in.
var tree = source{filepath.Join("..", "..")}

var noon = stamp{"v1.2.3", "0123456789ab", time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}

// lookOnce finds the parts for all tests.
var lookOnce = sync.OnceValues(func() ([]part, error) { return tree.parts(context.Background()) })

func allParts(t *testing.T) []part {
	t.Helper()
	parts, err := lookOnce()
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func TestEveryShippedPartHasAnAllowedLicence(t *testing.T) {
	t.Parallel()
	parts := allParts(t)
	for _, p := range parts {
		excepted := slices.ContainsFunc(exceptions, func(e exception) bool { return p.purl() == e.part+"@"+p.version })
		for _, id := range p.identifiers() {
			if !slices.Contains(allowed, id) && !excepted {
				t.Errorf("%s: %s", p.purl(), id)
			}
		}
	}
	var list, notices bytes.Buffer
	if err := listLicences(&list, parts); err != nil {
		t.Fatal(err)
	}
	if err := writeNotices(&notices, parts); err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if !strings.Contains(list.String(), p.purl()) || !strings.Contains(notices.String(), p.purl()) {
			t.Errorf("%s is not listed", p.purl())
		}
	}
	if len(parts) < 40 {
		t.Errorf("%d parts only", len(parts))
	}
}

// An exception that is none any longer would let its part change unseen.
func TestExceptionsAreNeeded(t *testing.T) {
	t.Parallel()
	parts := allParts(t)
	for _, e := range exceptions {
		i := slices.IndexFunc(parts, func(p part) bool { return p.purl() == e.part+"@"+p.version })
		if i < 0 {
			t.Errorf("%s is not shipped", e.part)
			continue
		}
		l := slices.IndexFunc(parts[i].licences, func(l licence) bool { return l.file == e.file })
		if e.why == "" || l < 0 || e.file != "" && classify(parts[i].licences[l].text) != nil && slices.Equal(classify(parts[i].licences[l].text), e.ids) {
			t.Errorf("%s %s needs no exception, or gives no reason", e.part, e.file)
		}
	}
}

const mitText = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software.
The above copyright notice and this permission notice shall be included in all copies. THE SOFTWARE IS PROVIDED "AS IS".`

func TestLicenceThatIsNotAllowedIsRefused(t *testing.T) {
	t.Parallel()
	bsd := "Redistribution and use in source and binary forms, with or without\n modification, are permitted provided that"
	for text, want := range map[string]string{
		mitText: "MIT",
		bsd:     "BSD-2-Clause",
		bsd + " advertising materials mentioning features":      "",
		mitText + "\nCommons Clause License Condition":          "",
		mitText + "\nAlso under the GNU General Public License": "",
		"Mozilla Public License Version 2.0":                    "",
		"All rights reserved. No part may be copied.":           "",
		"": "",
	} {
		if got := strings.Join(classify(text), ","); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := licencesOf(part{ecosystem: "npm", name: "x", dirs: []string{dir}}); (err == nil) != (want != "") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := licencesOf(part{ecosystem: "npm", name: "x", dirs: []string{t.TempDir()}}); err == nil {
		t.Error("a part without a licence passed")
	}
}

// The bundler is asked what it took: its source maps name every file. The
// bytes are also those of the page that is embedded, built at another time.
func TestPageIsMadeOfListedPackagesAndTwiceTheSame(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	web := source{filepath.Join(tree.root, "web")}
	if _, err := web.output(t.Context(), nil, "node", "node_modules/vite/bin/vite.js", "build", "--sourcemap", "hidden", "--outDir", out, "--emptyOutDir"); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, p := range allParts(t) {
		listed[p.name] = p.ecosystem == "npm"
	}
	from := regexp.MustCompile(`.*/node_modules/((?:@[^/]+/)?[^/]+)/`)
	taken := map[string]bool{}
	maps, err := filepath.Glob(filepath.Join(out, "assets", "*.map"))
	if err != nil || len(maps) < 2 {
		t.Fatal(maps, err)
	}
	for _, name := range maps {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ Sources []string }
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		for _, source := range m.Sources {
			if match := from.FindStringSubmatch("/" + source); match != nil {
				taken[match[1]] = true
			}
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for name := range taken {
		if !listed[name] {
			t.Errorf("the page holds %s, which is not in the bill of materials", name)
		}
	}
	if !taken["react"] || !taken["livekit-client"] {
		t.Errorf("the page holds only %v", taken)
	}
	again, err := treeSum(out)
	if err != nil {
		t.Fatal(err)
	}
	if embedded, err := treeSum(filepath.Join(tree.root, "web", "dist")); err != nil || !bytes.Equal(again, embedded) {
		t.Errorf("built twice, the page differs: %x and %x (%v); make build builds it anew", again, embedded, err)
	}
}

func TestBillOfMaterialsIsDeterministicAndComplete(t *testing.T) {
	t.Parallel()
	parts := allParts(t)
	var first, second bytes.Buffer
	if err := writeSBOM(&first, noon, parts); err != nil {
		t.Fatal(err)
	}
	again, err := tree.parts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := writeSBOM(&second, noon, again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two bills of one tree differ")
	}
	var b bom
	decoder := json.NewDecoder(&first)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.Metadata.Timestamp != "2026-01-02T12:00:00Z" || !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.SerialNumber) {
		t.Errorf("%s, %s", b.Metadata.Timestamp, b.SerialNumber)
	}
	for _, c := range b.Components {
		if c.Version == "" || len(c.Licences) == 0 || len(c.Hashes) == 0 && c.Name != "std" {
			t.Errorf("%+v", c)
		}
	}
	later := noon
	later.version = "v1.2.4"
	if err := writeSBOM(&second, later, parts); err != nil {
		t.Fatal(err)
	}
	if strings.Count(second.String(), b.SerialNumber) != 1 {
		t.Error("another release has the same serial number")
	}
}

// copyTo copies what git has, and the page, as another checkout would have it.
func copyTo(t *testing.T, dir string) source {
	t.Helper()
	listed, err := tree.output(t.Context(), nil, "git", "ls-files", "-co", "--exclude-standard", "--", "*.go", "go.mod", "go.sum", "client", "cmd", "docs", "internal", "web")
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(listed))
	dist := os.DirFS(tree.root)
	if err := fs.WalkDir(dist, "web/dist", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasPrefix(file, "conformance/") || strings.HasPrefix(file, "deploy/") {
			continue
		}
		content, err := fs.ReadFile(dist, file)
		if err != nil {
			continue // removed, and not yet committed
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return source{dir}
}

// forget takes what was compiled of this module out of the build cache, so
// that it is compiled again and not found.
func forget(t *testing.T, s source, p platform) int {
	t.Helper()
	out, err := s.output(t.Context(), p.environ(), "go", "list", "-trimpath", "-buildvcs=false", "-deps", "-export", "-f", "{{if .Module}}{{if .Module.Main}}{{.Export}}{{end}}{{end}}", command)
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	return len(files)
}

func TestBinaryIsTheSameFromAnotherDirectory(t *testing.T) {
	t.Parallel()
	p := platform{"linux", "amd64"}
	var sums []string
	for _, below := range []string{"a", "another/deep/directory"} {
		dir := t.TempDir()
		s := copyTo(t, filepath.Join(dir, below))
		if len(sums) > 0 {
			if n := forget(t, s, p); n < 10 {
				t.Fatalf("%d packages were compiled", n)
			}
		}
		file := filepath.Join(dir, "stagedoor")
		// What a builder may have set must not be seen in the binary.
		if err := s.binary(t.Context(), p, noon, file, "HOME="+dir, "GOMODCACHE="+goEnv(t, "GOMODCACHE"), "GOCACHE="+goEnv(t, "GOCACHE"), "USER="+below); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, fmt.Sprintf("%x", sha256.Sum256(content)))
		if bytes.Contains(content, []byte(dir)) {
			t.Errorf("the binary names %s", dir)
		}
		if err := inBill(file, allParts(t)); err != nil {
			t.Error(err)
		}
		if err := inBill(file, nil); err == nil {
			t.Error("a module that is not in the bill passed")
		}
		checkSettings(t, file)
	}
	if sums[0] != sums[1] {
		t.Errorf("%s and %s", sums[0], sums[1])
	}
}

func checkSettings(t *testing.T, file string) {
	t.Helper()
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == "CGO_ENABLED" && s.Value != "0" || strings.HasPrefix(s.Key, "vcs") {
			t.Errorf("%s=%s", s.Key, s.Value)
		}
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := tree.output(t.Context(), nil, "go", "env", name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestArchivesAreTheSameWhenPackedAgain(t *testing.T) {
	t.Parallel()
	beside := []entry{{"LICENSE", 0o644, []byte("terms")}, {"README.md", 0o644, []byte("read")}}
	for _, p := range platforms {
		first, err := p.archive(noon, []byte("binary"), beside)
		if err != nil {
			t.Fatal(err)
		}
		second, err := p.archive(noon, []byte("binary"), beside)
		if err != nil || !bytes.Equal(first.content, second.content) {
			t.Errorf("%s: packed twice, it differs (%v)", p, err)
		}
		listed := unpack(t, first)
		binary := "stagedoor"
		if p.os == "windows" {
			binary += ".exe"
		}
		top := "stagedoor_v1.2.3_" + p.os + "_" + p.arch + "/"
		if want := []string{top + "LICENSE", top + "README.md", top + binary}; !slices.Equal(listed, want) {
			t.Errorf("%s holds %v, want %v", first.name, listed, want)
		}
	}
}

// unpack lists an archive with the tools that people have.
func unpack(t *testing.T, archive entry) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), archive.name)
	if err := os.WriteFile(file, archive.content, 0o600); err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "tar", "-tzf", file)
	if strings.HasSuffix(file, ".zip") {
		return zipNames(t, file)
	}
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

func TestUnknownCommandIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"deploy"}} {
		if err := run(context.Background(), args, os.Stderr); err == nil || !strings.Contains(err.Error(), "usage") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
