package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// setting is one line of a unit.
type setting struct{ name, value string }

func unit(t *testing.T) []setting {
	t.Helper()
	var all []setting
	for line := range strings.Lines(read(t, "stagedoor.service")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			all = append(all, setting{name, value})
		}
	}
	return all
}

// most is the exposure that systemd itself measures, of 10.
const most = 1.5

func TestUnitIsKnownToSystemdAndConfined(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "stagedoor.service")
	// systemd looks whether the program is there; here it is another.
	text := strings.ReplaceAll(read(t, "stagedoor.service"), "/usr/local/bin/stagedoor", "/bin/true")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "stagedoor.service") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", file).CombinedOutput()
	match := regexp.MustCompile(`exposure level for stagedoor.service: ([\d.]+)`).FindSubmatch(out)
	if match == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if exposure, _ := strconv.ParseFloat(string(match[1]), 64); exposure > most {
		t.Errorf("exposure %v, at most %v\n%s", exposure, most, out)
	}
}

func TestUnitSettings(t *testing.T) {
	all := unit(t)
	for _, want := range []setting{
		{"ExecStart", "/usr/local/bin/stagedoor serve"}, {"DynamicUser", "yes"}, {"StateDirectory", "stagedoor"}, {"ProtectSystem", "strict"},
		{"NoNewPrivileges", "yes"}, {"MemoryDenyWriteExecute", "yes"}, {"SystemCallFilter", "@system-service"}, {"CapabilityBoundingSet", ""},
		{"RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"}, {"KillSignal", "SIGTERM"}, {"TimeoutStopSec", "20"},
	} {
		if !slices.Contains(all, want) {
			t.Errorf("%s=%s is not there", want.name, want.value)
		}
	}
}

// What the unit sets, systemd's directories and credentials in it, is a
// configuration that the door takes.
func TestUnitConfiguresTheDoor(t *testing.T) {
	credentials := t.TempDir()
	environ := map[string]string{"STATE_DIRECTORY": "/var/lib/stagedoor"}
	for _, name := range []string{"LIVEKIT_URL", "LIVEKIT_API_KEY", "TRUSTED_PROXIES"} { // EnvironmentFile
		environ[name] = filled[name]
	}
	for _, s := range unit(t) {
		switch s.name {
		case "LoadCredential":
			id, source, _ := strings.Cut(s.value, ":")
			if filepath.Base(source) != id || !strings.HasPrefix(source, "/etc/stagedoor/") {
				t.Errorf("credential %s comes from %s", id, source)
			}
			if err := os.WriteFile(filepath.Join(credentials, id), []byte(filled[strings.ToUpper(id)]+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		case "Environment":
			name, value, _ := strings.Cut(s.value, "=")
			environ[name] = strings.ReplaceAll(value, "%d", credentials)
		}
	}
	if c := accept(t, environ, "POLICY_FILE", "STRIPE_SECRET_KEY"); c.DatabasePath != "/var/lib/stagedoor/stagedoor.db" || c.JWTSecret.Reveal() != caller {
		t.Errorf("the database is %s, or the secret is not the credential", c.DatabasePath)
	}
}
