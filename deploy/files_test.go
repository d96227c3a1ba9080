package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"stagedoor/internal/config"
)

const (
	key    = "APIkey"
	secret = "Zu5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2c-livekit"
	caller = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY-caller"
)

// filled is what somebody puts in where a file leaves a place.
var filled = map[string]string{
	"LIVEKIT_URL": "wss://stage-4f2k9.livekit.cloud", "LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": secret, "JWT_SECRET": caller,
	"DOOR_HOST": "door.example.com", "LIVEKIT_HOST": "livekit.example.com", "TRUSTED_PROXIES": "10.0.0.0/8",
	"STRIPE_SECRET_KEY": "rk_live_51abcdefghijklmnopqrstuvwxyz", "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdefghijklmnopqrstuv",
	"ALLOWED_ORIGINS": "https://app.example.com",
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// strict reads YAML or JSON; a key that the type does not have, in its very
// letters, is an error.
func strict(text string, into any) error {
	plain, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return err
	}
	faults, err := json.UnmarshalStrict(plain, into)
	return errors.Join(append(faults, err)...)
}

// accept gives an environment to the door's configuration, which must take it
// without a fault, and returns what it makes of it.
func accept(t *testing.T, environ map[string]string, warnings ...string) *config.Config {
	t.Helper()
	var pairs []string
	platforms := regexp.MustCompile(`^(RAILWAY_|FLY_|RENDER$|RENDER_|STATE_DIRECTORY$)`) // they set these themselves
	for name, value := range environ {
		if !slices.Contains(variables(t), name) && !platforms.MatchString(name) {
			t.Errorf("docs/configuration.md knows no %s", name)
		}
		pairs = append(pairs, name+"="+value)
	}
	c, report := config.Load(config.Serve, pairs, "")
	if err := report.Err(); err != nil {
		var b strings.Builder
		_ = report.Format(&b, false)
		t.Fatal(b.String())
	}
	var warned []string
	for _, w := range report.Warnings {
		warned = append(warned, w.Name)
	}
	slices.Sort(warned)
	if !slices.Equal(warned, warnings) {
		t.Errorf("warns of %v, want %v", warned, warnings)
	}
	if !c.RequireHTTPS || len(c.TrustedProxies) == 0 {
		t.Error("does not insist on HTTPS behind a proxy")
	}
	return c
}

var row = regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\| .* \\| (\\*Secret\\.\\*)?")

// variables are the names in docs/configuration.md, NAME_FILE included.
func variables(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, match := range row.FindAllStringSubmatch(read(t, "..", "docs", "configuration.md"), -1) {
		names = append(names, match[1])
		if match[2] != "" {
			names = append(names, match[1]+"_FILE")
		}
	}
	if len(names) < 50 {
		t.Fatalf("%d variables only", len(names))
	}
	return names
}

// The keys that Railway reads, with their types; a misspelt one it ignores.
//
// SPEC: docs.railway.com/reference/config-as-code.
type railway struct {
	Schema string `json:"$schema"`
	Build  struct {
		Builder        string `json:"builder"`
		DockerfilePath string `json:"dockerfilePath"`
	} `json:"build"`
	Deploy struct {
		StartCommand            string `json:"startCommand"`
		HealthcheckPath         string `json:"healthcheckPath"`
		HealthcheckTimeout      int    `json:"healthcheckTimeout"`
		OverlapSeconds          string `json:"overlapSeconds"`
		DrainingSeconds         string `json:"drainingSeconds"`
		RestartPolicyType       string `json:"restartPolicyType"`
		RestartPolicyMaxRetries int    `json:"restartPolicyMaxRetries"`
	} `json:"deploy"`
}

func TestRailway(t *testing.T) {
	var r railway
	if err := strict(read(t, "..", "railway.json"), &r); err != nil {
		t.Fatal(err)
	}
	image := parseDockerfile(t)
	if r.Build.Builder != "DOCKERFILE" || read(t, "..", r.Build.DockerfilePath) != read(t, "Dockerfile") {
		t.Error("builds something else than deploy/Dockerfile")
	}
	if r.Deploy.StartCommand != strings.Join(image.command(), " ") {
		t.Errorf("starts %q, the image %q", r.Deploy.StartCommand, image.command())
	}
	if r.Deploy.HealthcheckPath != "/readyz" || len(r.Deploy.DrainingSeconds) != 2 || r.Deploy.DrainingSeconds < "15" {
		t.Error("health or draining is not as the door needs it")
	}
	environ := map[string]string{"RAILWAY_ENVIRONMENT_NAME": "production", "RAILWAY_PROJECT_ID": "x", "RAILWAY_PUBLIC_DOMAIN": "door.up.railway.app", "PORT": "8080"}
	for _, name := range []string{"LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "JWT_SECRET"} {
		environ[name] = filled[name]
	}
	accept(t, environ, "DATABASE_URL", "POLICY_FILE", "STRIPE_SECRET_KEY")
	environ["RAILWAY_VOLUME_MOUNT_PATH"] = "/data"
	if c := accept(t, environ, "POLICY_FILE", "STRIPE_SECRET_KEY"); c.DatabasePath != "/data/stagedoor.db" || c.ListenAddr != ":8080" {
		t.Errorf("%s on %s", c.DatabasePath, c.ListenAddr)
	}
}

func TestFly(t *testing.T) {
	var fly struct {
		App           string            `toml:"app"`
		PrimaryRegion string            `toml:"primary_region"`
		KillSignal    string            `toml:"kill_signal"`
		KillTimeout   int               `toml:"kill_timeout"`
		Env           map[string]string `toml:"env"`
		Deploy        struct {
			Strategy string `toml:"strategy"`
		} `toml:"deploy"`
		Mounts struct {
			Source      string `toml:"source"`
			Destination string `toml:"destination"`
		} `toml:"mounts"`
		Service struct {
			InternalPort       int    `toml:"internal_port"`
			ForceHTTPS         bool   `toml:"force_https"`
			AutoStop           string `toml:"auto_stop_machines"`
			AutoStart          bool   `toml:"auto_start_machines"`
			MinMachinesRunning int    `toml:"min_machines_running"`
			Checks             []struct {
				Method      string `toml:"method"`
				Path        string `toml:"path"`
				Interval    string `toml:"interval"`
				Timeout     string `toml:"timeout"`
				GracePeriod string `toml:"grace_period"`
			} `toml:"checks"`
		} `toml:"http_service"`
		VM []struct {
			Size   string `toml:"size"`
			Memory string `toml:"memory"`
		} `toml:"vm"`
	}
	meta, err := toml.Decode(read(t, "fly.toml"), &fly)
	if err != nil || len(meta.Undecoded()) > 0 {
		t.Fatalf("%v, unknown keys %v", err, meta.Undecoded())
	}
	for _, name := range []string{"LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "JWT_SECRET"} {
		fly.Env[name] = filled[name]
	}
	fly.Env["FLY_APP_NAME"], fly.Env["FLY_MACHINE_ID"] = "your-stagedoor", "148e4" // as Fly sets them
	c := accept(t, fly.Env, "POLICY_FILE", "STRIPE_SECRET_KEY")
	if c.Port != fly.Service.InternalPort || fly.KillSignal != "SIGTERM" || fly.KillTimeout < 15 || !fly.Service.ForceHTTPS {
		t.Errorf("port %d, %s, %d s", c.Port, fly.KillSignal, fly.KillTimeout)
	}
	if fly.Mounts.Destination != parseDockerfile(t).workdir || fly.Service.MinMachinesRunning != 1 || fly.Service.AutoStop != "off" || fly.Service.Checks[0].Path != "/readyz" {
		t.Error("the database, the machine or the check is not as the door needs it")
	}
}

func TestRender(t *testing.T) {
	var blueprint struct {
		Services []struct {
			Type                    string `json:"type"`
			Name                    string `json:"name"`
			Runtime                 string `json:"runtime"`
			Plan                    string `json:"plan"`
			DockerfilePath          string `json:"dockerfilePath"`
			DockerContext           string `json:"dockerContext"`
			HealthCheckPath         string `json:"healthCheckPath"`
			MaxShutdownDelaySeconds int    `json:"maxShutdownDelaySeconds"`
			NumInstances            int    `json:"numInstances"`
			Disk                    struct {
				Name      string `json:"name"`
				MountPath string `json:"mountPath"`
				SizeGB    int    `json:"sizeGB"`
			} `json:"disk"`
			EnvVars []struct {
				Key           string `json:"key"`
				Value         string `json:"value"`
				Sync          *bool  `json:"sync"`
				GenerateValue bool   `json:"generateValue"`
			} `json:"envVars"`
		} `json:"services"`
	}
	if err := strict(read(t, "render.yaml"), &blueprint); err != nil {
		t.Fatal(err)
	}
	s := blueprint.Services[0]
	environ := map[string]string{"PORT": "10000", "RENDER": "true", "RENDER_SERVICE_ID": "srv-1"} // as Render sets them
	for _, v := range s.EnvVars {
		if environ[v.Key] = v.Value; v.Value == "" {
			environ[v.Key] = filled[v.Key]
		}
	}
	accept(t, environ, "POLICY_FILE")
	if read(t, "..", s.DockerfilePath) != read(t, "Dockerfile") || s.DockerContext != "." || s.Disk.MountPath != parseDockerfile(t).workdir {
		t.Error("builds something else, or keeps the database elsewhere")
	}
	if s.HealthCheckPath != "/readyz" || s.MaxShutdownDelaySeconds < 15 || s.NumInstances != 1 {
		t.Errorf("%+v", s)
	}
}
