package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

const docPath = "../../docs/configuration.md"

const docIntro = `# Configuration

<!-- Generated from internal/config/config.go by: go test ./internal/config -run TestConfigurationDoc -update -->

Stagedoor is configured by environment variables alone. ` + "`stagedoor serve`" + ` checks all of them before it opens a port,
lists every mistake at once with its remedy, and refuses to start on a configuration that is unsafe or incomplete.

The least that production needs:

` + "```bash" + `
LIVEKIT_URL=wss://<project>.livekit.cloud
LIVEKIT_API_KEY=<key>                       # LiveKit Cloud, Settings, Keys
LIVEKIT_API_SECRET=<secret>
JWT_SECRET=<secret>                         # what your application signs its tokens with
JWT_AUDIENCE=stagedoor                      # if the tokens name an audience (aud)
TRUSTED_PROXIES=<address of your proxy>     # found by itself on Railway, Fly and Render
STRIPE_SECRET_KEY=<restricted key>          # without it nobody may publish; docs/billing.md says what else
STRIPE_WEBHOOK_SECRET=<signing secret>
` + "```" + `

` + "`stagedoor dev`" + ` needs none of this: it listens on loopback alone and starts a LiveKit server of its own, unless all three
LIVEKIT variables are set. ` + "`stagedoor token`" + ` needs LIVEKIT_API_KEY and LIVEKIT_API_SECRET; ` + "`explain`, `ban`, `unban`, `bans` and `sync`" + ` need a running door (ADMIN_URL, ADMIN_TOKEN)
or its DATABASE_URL.

## Where values come from

- **The environment** wins. An empty value there means unset, whatever ` + "`.env`" + ` says.
- **` + "`.env`" + `** in the working directory is read by every command; ` + "`--env-file`" + ` names another file, which must exist.
  It holds ` + "`NAME=VALUE`" + ` lines, with an optional ` + "`export`" + ` and ` + "`# comments`" + `. ` + "`'Single quotes'`" + ` are literal, ` + "`\"double quotes\"`" + `
  know ` + "`\\n`, `\\t`, `\\\"` and `\\\\`" + `. Nothing is expanded: a ` + "`$`" + ` is a dollar sign. A name that is set twice is an error.
- **A file**, for secrets: every variable marked *secret* below is also read from the file that ` + "`NAME_FILE`" + ` names, such as
  ` + "`JWT_SECRET_FILE=/run/secrets/jwt`" + `. One newline at its end is dropped. Setting both is an error.

## How values are written

- Durations have a unit: ` + "`90s`, `15m`, `1h`" + `. Rates are a count per second, minute or hour: ` + "`5/s`, `60/m`, `1000/h`" + `.
- Lists are separated by commas; an empty entry is an error. Yes and no are ` + "`true`, `1`, `on`, `yes` and `false`, `0`, `off`, `no`" + `.
- URLs have no user name, query or fragment. ` + "`http://` and `ws://`" + ` are taken only for private hosts: loopback, RFC 1918 and
  unique local addresses, names without a dot, and names under ` + "`.internal`, `.local` and `.localhost`" + `. DNS is not asked.
- Secrets that you make up have at least 32 bytes, are random, and differ from each other: ` + "`openssl rand -base64 48`" + `.
- A name that begins with ` + "`STAGEDOOR_`" + ` is an error, since no variable does. One that is a letter or two away from a known
  name (` + "`OIDC_ISUER`" + `) is a warning. No message repeats a value.
`

const docProxies = `
## Proxies known by a word

TRUSTED_PROXIES takes these beside addresses and CIDRs. Where CLIENT_IP_HEADER is unset, the word says where its proxy names
the client; words that say it differently, or one beside addresses, need a CLIENT_IP_HEADER.

| word | CLIENT_IP_HEADER | addresses |
|---|---|---|
`

const docPlatforms = `
Railway, Fly and Render are recognized by the variables that they set (` + "`RAILWAY_PROJECT_ID`" + ` and others, ` + "`FLY_APP_NAME` with `FLY_MACHINE_ID`,\n`RENDER=true` with `RENDER_SERVICE_ID`" + `), in the real environment only, and unless the door listens on loopback; then their word and header are the
defaults, and on Railway ` + "`RAILWAY_PUBLIC_DOMAIN`" + ` names the public host. Of these only Cloudflare publishes addresses; the list here is as of 2025.
If a platform moves, every request is refused as plain HTTP: set TRUSTED_PROXIES to the new address.
[deploy.md](deploy.md#behind-a-proxy) says what to set where, and what is refused.
`

// TestConfigurationDoc keeps the page equal to the struct: with -update it
// writes the page, without it fails if they differ.
func TestConfigurationDoc(t *testing.T) {
	want := configurationDoc(t)
	if *update {
		if err := os.WriteFile(docPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(docPath)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Error("docs/configuration.md differs from config.go: run go test ./internal/config -run TestConfigurationDoc -update")
	}
}

// configurationDoc renders the page.
func configurationDoc(t *testing.T) string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	page.WriteString(docIntro)
	var refused []string
	last := token.NoPos
	for _, f := range configFields(t, file) {
		for _, group := range file.Comments {
			heading, ok := strings.CutPrefix(group.Text(), "# ")
			if ok && group.Pos() > last && group.Pos() < f.Pos() {
				fmt.Fprintf(&page, "\n## %s\n\n| name | default | meaning |\n|---|---|---|\n", strings.TrimSpace(heading))
			}
		}
		last = f.Pos()
		field, _ := reflect.TypeFor[Config]().FieldByName(f.Names[0].Name)
		name := field.Tag.Get("env")
		if name == "" {
			continue
		}
		text := strings.Join(strings.Fields(f.Doc.Text()), " ")
		if text == "" {
			t.Errorf("%s has no comment", name)
		}
		if isSecret(field) {
			text = "*Secret.* " + text
		}
		if field.Tag.Get("later") == "refuse" {
			refused = append(refused, "`"+name+"`")
			text += " *Refused in this version.*"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", name, docDefault(field), strings.ReplaceAll(text, "|", `\|`))
	}
	page.WriteString(docProxies)
	for _, p := range presets() {
		var ranges []string
		for _, prefix := range p.ranges {
			ranges = append(ranges, "`"+prefix.String()+"`")
		}
		header := "–"
		if p.header != "" {
			header = "`" + p.header + "`"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", p.word, header, strings.Join(ranges, ", "))
	}
	page.WriteString(docPlatforms)
	fmt.Fprintf(&page, "\n## Not in this version\n\nThese are refused, since going on without them would leave open what they are meant to close:\n%s; "+
		"so is a `DATABASE_URL` that begins with `postgres://`.\n", strings.Join(refused, ", "))
	return page.String()
}

// configFields returns the fields of the Config struct as parsed.
func configFields(t *testing.T, file *ast.File) []*ast.Field {
	t.Helper()
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.TYPE {
			continue
		}
		if spec := group.Specs[0].(*ast.TypeSpec); spec.Name.Name == "Config" {
			return spec.Type.(*ast.StructType).Fields.List
		}
	}
	t.Fatal("config.go has no Config")
	return nil
}

var quoted = regexp.MustCompile(`'([^']+)'`)

// docDefault is the second column.
func docDefault(f reflect.StructField) string {
	if derived := f.Tag.Get("derived"); derived != "" {
		if derived == "required" {
			return "**required**"
		}
		return quoted.ReplaceAllString(derived, "`$1`")
	}
	if literal := f.Tag.Get("default"); literal != "" {
		return "`" + literal + "`"
	}
	return "–"
}
