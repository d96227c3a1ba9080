package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// project is compose.yaml as Compose reads it, with the variables given.
func project(environ map[string]string) (*types.Project, error) {
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: ".", ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml"}}, Environment: environ,
	}, func(o *loader.Options) { o.SetProjectName("stagedoor", true) })
}

func TestCompose(t *testing.T) {
	p, err := project(filled)
	if err != nil {
		t.Fatal(err)
	}
	door := p.Services["stagedoor"]
	environ := map[string]string{}
	for name, value := range door.Environment {
		environ[name] = *value
	}
	accept(t, environ, "POLICY_FILE")
	if environ["TRUSTED_PROXIES"] != p.Services["caddy"].Networks["stage"].Ipv4Address {
		t.Error("the proxy that is trusted is not Caddy")
	}
	for name, s := range p.Services {
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Privileged {
			t.Errorf("%s is not confined", name)
		}
		if !regexp.MustCompile(`:(v?\d+\.\d+\.\d+|local)$`).MatchString(s.Image) {
			t.Errorf("%s has no exact version", s.Image)
		}
	}
	if image := parseDockerfile(t); door.User != image.user || door.Volumes[0].Target != image.workdir || len(door.Ports) > 0 {
		t.Error("another user or volume than the image's, or a port that is open beside Caddy")
	}
	if *door.StopGracePeriod < 15e9 {
		t.Errorf("killed after %s", door.StopGracePeriod)
	}
	pinned := regexp.MustCompile(`livekit/livekit-server (v[\d.]+)`).FindStringSubmatch(read(t, "..", "tools", "livekit", "go.mod"))
	if p.Services["livekit"].Image != "livekit/livekit-server:"+pinned[1] {
		t.Errorf("%s is not the version that is tested with, %s", p.Services["livekit"].Image, pinned[1])
	}
}

// Nobody can start it without secrets of their own.
func TestComposeNeedsEverySecret(t *testing.T) {
	example := map[string]string{}
	for line := range strings.Lines(read(t, "env.example")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			example[name] = value
		}
	}
	if _, err := project(example); err == nil {
		t.Error("starts with what env.example says")
	}
	for name, value := range example {
		if filled[name] == "" {
			t.Errorf("nothing reads %s", name)
		}
		if strings.Contains(name, "SECRET") && value != "" {
			t.Errorf("%s has an example that somebody will use", name)
		}
	}
	for _, name := range []string{"LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "JWT_SECRET", "DOOR_HOST", "LIVEKIT_HOST"} {
		without := map[string]string{}
		for n, v := range filled {
			if n != name {
				without[n] = v
			}
		}
		if _, err := project(without); err == nil {
			t.Errorf("starts without %s", name)
		}
	}
}

// LiveKit reads its own configuration, and refuses a key that it does not know.
func TestComposeLiveKit(t *testing.T) {
	p, err := project(filled)
	if err != nil {
		t.Fatal(err)
	}
	text := *p.Services["livekit"].Environment["LIVEKIT_CONFIG"]
	if !strings.Contains(text, `urls: ["https://door.example.com/webhooks/livekit"]`) || !strings.Contains(text, "api_key: "+key+"\n") {
		t.Error("LiveKit tells the door nothing")
	}
	// It would ask the internet for its own address.
	text = strings.Replace(text, "use_external_ip: true", "use_external_ip: false", 1)
	for want, config := range map[bool]string{true: text, false: strings.Replace(text, "webhook:", "webhoook:", 1)} {
		file := filepath.Join(t.TempDir(), "livekit.yaml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(filepath.Join("..", "bin", "livekit-server"), "ports", "--config", file)
		c.Env = []string{"LIVEKIT_KEYS=" + *p.Services["livekit"].Environment["LIVEKIT_KEYS"]}
		out, err := c.CombinedOutput()
		if (err == nil && !strings.Contains(string(out), "could not")) != want {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// Caddy itself is not at hand: its two sites name services and ports that are there.
func TestCaddyfile(t *testing.T) {
	p, err := project(filled)
	if err != nil {
		t.Fatal(err)
	}
	caddy := p.Services["caddy"]
	sites := regexp.MustCompile(`(?m)^\{\$(\w+)\} \{\n\treverse_proxy ([\w.]+):(\d+)\n\}$`).FindAllStringSubmatch(read(t, "Caddyfile"), -1)
	if len(sites) != 2 {
		t.Fatalf("%d sites", len(sites))
	}
	for _, s := range sites {
		if caddy.Environment[s[1]] == nil {
			t.Errorf("Caddy is not given %s", s[1])
		}
		_, service := p.Services[s[2]]
		if _, host := caddy.ExtraHosts[s[2]]; !service && !host {
			t.Errorf("Caddy knows no %s", s[2])
		}
	}
	if sites[0][2] != "stagedoor" || !slices.Contains(p.Services["stagedoor"].Expose, sites[0][3]) || sites[1][3] != "7880" {
		t.Errorf("%v", sites)
	}
}
