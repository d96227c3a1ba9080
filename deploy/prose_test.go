package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The commands in docs/deploy.md cannot be typed here: no Docker, no cluster.
// The files, arguments and names in them can be held to what there is.
func TestProse(t *testing.T) {
	text := read(t, "..", "docs", "deploy.md")
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if len(lines) < 12 {
		t.Fatalf("%d commands only", len(lines))
	}
	names := variables(t)
	for _, line := range lines {
		for _, word := range strings.Fields(line) {
			if path := regexp.MustCompile(`^deploy/[\w./-]+$`).FindString(word); path != "" && path != "deploy/.env" && !exists(filepath.Join("..", path)) {
				t.Errorf("%s: there is no %s", line, path)
			}
			if name := regexp.MustCompile(`^([A-Z][A-Z_]+)=`).FindStringSubmatch(word); name != nil && !slices.Contains(names, name[1]) {
				t.Errorf("%s: there is no %s", line, name[1])
			}
		}
	}
	for _, match := range regexp.MustCompile("`([A-Z][A-Z]+_[A-Z_]+)`").FindAllStringSubmatch(text, -1) {
		if !slices.Contains(append(names, "RAILWAY_RUN_UID", "AUDIT_STRICT"), match[1]) {
			t.Errorf("there is no %s", match[1])
		}
	}
	for _, match := range regexp.MustCompile(`\]\(([\w./-]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("..", "docs", match[1])); err != nil {
			t.Error(err)
		}
	}
	chartValues, secret := values(t, nil), lines[slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "kubectl create secret") })]
	for _, section := range []string{"secretKeys", "secretEnv"} {
		for _, key := range chartValues[section].(map[string]any) {
			if !strings.Contains(secret, "--from-literal="+key.(string)+"=") {
				t.Errorf("the Secret lacks %s", key)
			}
		}
	}
	for _, match := range regexp.MustCompile(`--set ([\w.]+)=`).FindAllStringSubmatch(text, -1) {
		section, inner, _ := strings.Cut(match[1], ".")
		value, ok := chartValues[section]
		if m, nested := value.(map[string]any); nested {
			_, ok = m[inner]
		}
		if !ok {
			t.Errorf("the chart has no value %s", match[1])
		}
	}
	if strings.Contains(text, "docker run") && !strings.Contains(text, " --read-only ") {
		t.Error("docker run has a root that can be written to")
	}
}
