package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// instruction is one of a Dockerfile's, its continued lines joined.
type instruction struct{ name, rest string }

// stage is what lies between two FROM.
type stage struct {
	from, as string
	steps    []instruction
}

// dockerfile is what of it is tested.
type dockerfile struct {
	stages          []stage
	user, workdir   string
	entrypoint, cmd []string
}

func (d dockerfile) final() stage { return d.stages[len(d.stages)-1] }

// command is what the image runs.
func (d dockerfile) command() []string { return append(slices.Clone(d.entrypoint), d.cmd...) }

func parseDockerfile(t *testing.T) dockerfile {
	t.Helper()
	var d dockerfile
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(read(t, "Dockerfile"), "")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "":
			continue
		case "FROM":
			fields := strings.Fields(rest)
			s := stage{from: fields[0]}
			if len(fields) == 3 && fields[1] == "AS" {
				s.as = fields[2]
			}
			d.stages = append(d.stages, s)
			continue
		case "USER":
			d.user = rest
		case "WORKDIR":
			d.workdir = rest
		case "ENTRYPOINT", "CMD":
			to := map[string]*[]string{"ENTRYPOINT": &d.entrypoint, "CMD": &d.cmd}[name]
			if err := json.Unmarshal([]byte(rest), to); err != nil {
				t.Fatalf("%s is not in exec form: there is no shell", name)
			}
		case "COPY", "RUN", "ARG", "ENV", "EXPOSE", "STOPSIGNAL":
		default:
			t.Fatalf("%s is not expected: Railway refuses VOLUME, and there is no shell for HEALTHCHECK", name)
		}
		last := &d.stages[len(d.stages)-1]
		last.steps = append(last.steps, instruction{name, rest})
	}
	return d
}

func TestDockerfile(t *testing.T) {
	d := parseDockerfile(t)
	if d.final().from != "scratch" {
		t.Errorf("the image is made from %s", d.final().from)
	}
	exact := regexp.MustCompile(`^[a-z]+:\d+\.\d+\.\d+(-[a-z-]+)?$`)
	for _, s := range d.stages[:len(d.stages)-1] {
		if !exact.MatchString(s.from) {
			t.Errorf("%s is no exact version", s.from)
		}
	}
	if !regexp.MustCompile(`^[1-9]\d{3,}:[1-9]\d{3,}$`).MatchString(d.user) {
		t.Errorf("user %q is not a number, or root: runAsNonRoot cannot tell", d.user)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "..", "go.mod"))[1]
	if !strings.Contains(read(t, "Dockerfile"), "FROM golang:"+goVersion+".") {
		t.Errorf("the compiler is not Go %s", goVersion)
	}
	owned := false
	for _, step := range d.final().steps {
		if step.name == "RUN" {
			t.Error("RUN has nothing to run with in an empty image")
		}
		owned = owned || step.name == "COPY" && strings.Contains(step.rest, "--chown="+d.user+" ") && strings.HasSuffix(step.rest, " "+d.workdir)
	}
	if !owned {
		t.Errorf("%s, where the database is, is not the user's", d.workdir)
	}
}

// kept lists the files of the repository that the image's builder is sent.
func kept(t *testing.T) []string {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, "Dockerfile.dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("..", path)
		if entry.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "bin", "dist", "deploy", "conformance", "e2e", "tools"}, name) || entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		ignored, err := matcher.MatchesOrParentMatches(name)
		if !ignored {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestContextHoldsNoSecretAndNoTest(t *testing.T) {
	files := kept(t)
	for _, file := range files {
		if strings.Contains(file, ".env") || strings.HasSuffix(file, "_test.go") || strings.Contains(file, ".git/") || strings.HasPrefix(file, "web/dist/assets") {
			t.Errorf("%s is sent to the builder", file)
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "stagedoor.go", "cmd/stagedoor/main.go", "web/package-lock.json", "client/livekit-join.js", "docs/openapi.yaml"} {
		if !slices.Contains(files, file) {
			t.Errorf("%s is not sent to the builder", file)
		}
	}
}
