package prometheus

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// deploy and docs are links: go test looks for changes in this module's own
// files only, before it answers from its cache.
const (
	deploy = "testdata/deploy"
	docs   = "testdata/docs"
)

// promtool runs Prometheus' own judge.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	command := exec.Command("promtool", args...)
	command.Dir, command.Stdin = deploy, strings.NewReader(stdin)
	if out, err := command.CombinedOutput(); err != nil || strings.Contains(string(out), "error") {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// What deploy/ has for Prometheus is what Prometheus takes, and alerts fire
// when they must and not before.
func TestAlertsFireWhenTheyMust(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"prometheus.yml", "alerts.yaml", "alerts_test.yaml"} {
		read(t, deploy+"/"+name) // so that a change of it is seen
	}
	promtool(t, "", "check", "config", "prometheus.yml")
	promtool(t, "", "check", "rules", "alerts.yaml")
	promtool(t, "", "test", "rules", "alerts_test.yaml")
}

// Every alert says what to do, at a heading that is there.
func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	page := read(t, docs+"/operations.md")
	rules := read(t, deploy+"/alerts.yaml")
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(page, -1) {
		plain := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors["docs/operations.md#"+strings.ReplaceAll(plain, " ", "-")] = true
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	runbooks := regexp.MustCompile(`runbook: (\S+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 10 || len(alerts) != len(runbooks) {
		t.Fatalf("%d alerts, %d runbooks", len(alerts), len(runbooks))
	}
	for i, alert := range alerts {
		if !anchors[runbooks[i][1]] || !strings.Contains(page, "`"+alert[1]+"`") {
			t.Errorf("%s: %s is not there, or does not name it", alert[1], runbooks[i][1])
		}
	}
}

// A real door, scraped by a real Prometheus: every metric is well formed and
// documented, every panel and every alert asks for what is there.
func TestRealPrometheusScrapesARealDoor(t *testing.T) {
	t.Parallel()
	d := startDoor(t)
	for token, want := range map[string]int{callerToken(t): 200, "": 401} {
		if got := d.join(t, token); got != want {
			t.Fatalf("joined with %d, want %d", got, want)
		}
	}
	for token, want := range map[string]int{"": 401, callerToken(t): 401, adminToken: 200} {
		if got, _ := d.scrape(t, token); got != want {
			t.Errorf("scraped with %d, want %d", got, want)
		}
	}
	for _, path := range []string{"/metrics", "/admin/metrics", "/admin/api/metrics"} {
		resp, err := d.client.Get("https://" + d.public + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s on the public listener: %d", path, resp.StatusCode)
		}
	}
	var text string
	d.until(t, "Stripe has been followed", func() bool {
		_, text = d.scrape(t, adminToken)
		return strings.Contains(text, "\nstagedoor_stripe_compared_timestamp_seconds ") && strings.Contains(text, "\nstagedoor_ready 1\n") && strings.Contains(text, "\nstagedoor_jwks_age_seconds{") &&
			strings.Contains(text, `stagedoor_clock_skew_seconds{peer="issuer"} `) && strings.Contains(text, `stagedoor_clock_skew_seconds{peer="stripe"} `)
	})
	promtool(t, text, "check", "metrics")
	names := namesIn(text)
	compareWithDocs(t, names)
	exprs := panels(t)
	for _, expr := range exprs {
		everyNameIsThere(t, expr, names)
	}
	for _, rule := range regexp.MustCompile(`expr: '(.*)'\n`).FindAllStringSubmatch(read(t, deploy+"/alerts.yaml"), -1) {
		everyNameIsThere(t, strings.ReplaceAll(rule[1], "''", "'"), names)
	}
	p := startPrometheus(t, d)
	for _, expr := range exprs {
		if _, err := p.query(t, expr); err != "" {
			t.Errorf("%s: %s", expr, err)
		}
	}
	d.until(t, "every alert was evaluated", func() bool { return p.rulesAreHealthy(t) })
}

// namesIn are the metrics of a scrape, by their TYPE lines.
func namesIn(text string) map[string]string {
	names := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
		names[line[1]] = line[2]
	}
	return names
}

// compareWithDocs holds docs/operations.md to the door's metrics, both ways.
func compareWithDocs(t *testing.T, names map[string]string) {
	t.Helper()
	page := read(t, docs+"/operations.md")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.stagedoor_[^|]*)\|`).FindAllStringSubmatch(page, -1) {
		for _, name := range regexp.MustCompile(`stagedoor_\w+`).FindAllString(row[1], -1) {
			documented[name] = true
			if names[name] == "" {
				t.Errorf("%s is documented and not there", name)
			}
		}
	}
	for name := range names {
		if strings.HasPrefix(name, "stagedoor_") && !documented[name] {
			t.Errorf("%s is not documented", name)
		}
	}
}

var metricName = regexp.MustCompile(`\b(?:stagedoor|process|go)_[a-z_]+\b`)

// everyNameIsThere checks an expression's metrics against a scrape.
func everyNameIsThere(t *testing.T, expr string, names map[string]string) {
	t.Helper()
	for _, name := range metricName.FindAllString(expr, -1) {
		whole := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); names[base] == "histogram" {
				whole = base
			}
		}
		if names[whole] == "" {
			t.Errorf("%s: there is no %s", expr, name)
		}
	}
}

// panels are the dashboard's expressions, its variables filled in.
func panels(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Templating struct {
			List []struct{ Name string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ W, H int }
			Datasource  struct{ UID string }
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, deploy+"/grafana-dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var rows, exprs []string
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.W == 0 || p.GridPos.H == 0 {
			t.Errorf("%s: its id is another's, or it has no size", p.Title)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s asks for nothing, or asks elsewhere", p.Title)
		}
		for _, target := range p.Targets {
			if !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%s: %s shows every instance", p.Title, target.Expr)
			}
			exprs = append(exprs, strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr))
		}
	}
	if !slices.Equal(rows, []string{"Callers", "Billing", "Rooms", "Health"}) || len(exprs) < 30 || len(dashboard.Templating.List) != 2 {
		t.Errorf("rows %v, %d expressions, %d variables", rows, len(exprs), len(dashboard.Templating.List))
	}
	return exprs
}

// server is a Prometheus.
type server struct{ url string }

// startPrometheus has one scrape the door by deploy/prometheus.yml, every
// second, and returns when it has twice.
func startPrometheus(t *testing.T, d *door) *server {
	t.Helper()
	dir := t.TempDir()
	rules, err := filepath.Abs(deploy + "/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tokenFile := filepath.Join(dir, "token")
	example := read(t, deploy+"/prometheus.yml")
	config := strings.NewReplacer("127.0.0.1:9464", d.admin, "15s", "1s", "- alerts.yaml", "- "+rules,
		"# authorization:", "authorization:", "#   credentials_file: /etc/prometheus/stagedoor-admin-token", "  credentials_file: "+tokenFile).Replace(example)
	write(t, tokenFile, adminToken)
	write(t, filepath.Join(dir, "prometheus.yml"), config)
	address := freeAddress(t)
	log := start(t, dir, nil, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+address)
	p := &server{"http://" + address}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if answer, _ := p.query(t, `up{job="stagedoor"} == 1 and count_over_time(up{job="stagedoor"}[1m]) >= 2`); strings.Contains(answer, d.admin) {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("Prometheus never saw the door:\n%s", log)
		}
	}
}

// query evaluates an expression and returns the answer, or what is wrong with it.
func (p *server) query(t *testing.T, expr string) (answer, fault string) {
	t.Helper()
	var reply struct {
		Status, Error string
		Data          json.RawMessage
	}
	if !p.get(t, "/api/v1/query?query="+url.QueryEscape(expr), &reply) {
		return "", "no answer"
	}
	if reply.Status != "success" {
		return "", "error: " + reply.Error
	}
	return string(reply.Data), ""
}

// rulesAreHealthy reports whether every alert was evaluated; one that cannot
// be fails the test.
func (p *server) rulesAreHealthy(t *testing.T) bool {
	t.Helper()
	var reply struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if !p.get(t, "/api/v1/rules", &reply) || len(reply.Data.Groups) != 1 {
		return false
	}
	healthy := 0
	for _, rule := range reply.Data.Groups[0].Rules {
		if rule.Health == "err" {
			t.Fatalf("%s: %s", rule.Name, rule.LastError)
		}
		if rule.Health == "ok" {
			healthy++
		}
	}
	return healthy > 0 && healthy == len(reply.Data.Groups[0].Rules)
}

// get asks Prometheus, and reports whether it answered.
func (p *server) get(t *testing.T, path string, into any) bool {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(p.url + path)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	return json.NewDecoder(resp.Body).Decode(into) == nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
