package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/billing"
	"stagedoor/internal/enforce"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/livekit"
)

const (
	adminPath  = "/admin/api/"
	linesType  = "application/x-ndjson"
	adminToken = "an ADMIN_TOKEN of more than 32 bytes, for the tests"

	stripeSecret  = "whsec_conformance"
	liveKitKey    = "APIconformance"
	liveKitSecret = "a LiveKit secret of more than 32 bytes"
)

// shelf stands for the database: it keeps bans and events in memory. What
// else the database can do is not asked of it.
type shelf struct {
	billing.Store
	full bool
	bans []stagedoor.Ban
}

var errFull = errors.New("full")

func (s *shelf) failure() error {
	if s.full {
		return errFull
	}
	return nil
}

func (s *shelf) Bans(context.Context) ([]stagedoor.Ban, error)            { return s.bans, nil }
func (s *shelf) BansVersion(context.Context) (int64, error)               { return int64(len(s.bans)), nil }
func (s *shelf) AddBan(context.Context, stagedoor.Ban) error              { return s.failure() }
func (s *shelf) Catalog(context.Context) ([]stagedoor.CatalogItem, error) { return nil, nil }
func (s *shelf) Progress(context.Context) (stagedoor.BillingProgress, error) {
	return stagedoor.BillingProgress{}, nil
}

func (s *shelf) SaveEvent(context.Context, stagedoor.BillingEvent, time.Time) (bool, error) {
	return true, s.failure()
}

func (s *shelf) RemoveBan(_ context.Context, id string) (stagedoor.Ban, bool, error) {
	i := slices.IndexFunc(s.bans, func(b stagedoor.Ban) bool { return b.ID == id })
	if i < 0 || s.full {
		return stagedoor.Ban{}, false, s.failure()
	}
	return s.bans[i], true, nil
}

// bansKept are the bans that every door finds when it starts.
func bansKept() []stagedoor.Ban {
	set := time.Now().Add(-time.Hour)
	return []stagedoor.Ban{
		{ID: "ban_1", Principal: keyOf(string(outcast)), Reason: "spam", CreatedAt: set},
		{ID: "ban_2", Principal: keyOf("bob"), Room: "test-room", Until: set.Add(24 * time.Hour), CreatedAt: set},
	}
}

func keyOf(subject string) stagedoor.PrincipalKey {
	return stagedoor.PrincipalKey{Issuer: authn.SharedSecretIssuer, Subject: subject}
}

// participant and summary are what the program itself makes up beyond the
// packages that can be imported: TestWhatOperatorsSee holds them to its source.
type participant struct {
	Room     stagedoor.Room     `json:"room"`
	Identity stagedoor.Identity `json:"identity"`
	SID      string             `json:"sid"`
	JoinedAt time.Time          `json:"joinedAt"`
	Ours     bool               `json:"ours"`
	Issuer   string             `json:"issuer,omitempty"`
	Subject  string             `json:"subject,omitempty"`
}

type summary struct {
	billing.Summary
	Left int `json:"left"`
}

// operators is the real operators' API over the real list of bans; whom names
// stand for, what is known and who is where is made up.
func operators(w world, bans *enforce.Bans, kept *shelf) *httpapi.Admin {
	age, now := int64(12), time.Now()
	return &httpapi.Admin{
		Token: stagedoor.NewSecret(adminToken), Bans: bans, Now: time.Now,
		Find: func(_ context.Context, user, issuer string) (stagedoor.PrincipalKey, error) {
			if user == "twin" && issuer == "" {
				return stagedoor.PrincipalKey{}, stagedoor.Refuse(stagedoor.InvalidRequest, "name the issuer too")
			}
			return keyOf(user), kept.failure()
		},
		HasTokens: func(context.Context, stagedoor.PrincipalKey) (bool, error) { return false, nil },
		Forget: func(_ context.Context, e stagedoor.Erasure) (stagedoor.Erased, error) {
			return stagedoor.Erased{Issuer: e.Principal.Issuer, Subject: e.Principal.Subject, DryRun: e.DryRun, MintsUntil: now, MintsKept: 1}, kept.failure()
		},
		Explain: func(_ context.Context, user, _ string, room stagedoor.Room) (stagedoor.Explanation, error) {
			return stagedoor.Explanation{User: user, Room: room, Steps: []stagedoor.Step{
				{Name: "identity", Mark: stagedoor.Good, Text: user}, {Name: "link", Mark: stagedoor.Good, Text: "cus_1", Age: &age},
				{Name: "decision", Mark: stagedoor.Bad, Text: "may join"}, {Name: "presence", Mark: stagedoor.Remark, Text: "not here"},
			}}, kept.failure()
		},
		Live: func(context.Context) (any, error) {
			return map[string][]participant{"participants": {
				{Room: "test-room", Identity: "ann", SID: "PA_1", JoinedAt: now.UTC(), Ours: true, Issuer: authn.SharedSecretIssuer, Subject: "ann"},
				{Room: "test-room", Identity: "agent", SID: "PA_2", JoinedAt: now.UTC()},
			}}, kept.failure()
		},
		Billing: func(context.Context) (any, error) {
			return billing.Status{
				Stripe:  billing.Health{Calls: 3, Failures: 1, LastSuccess: now, LastFailure: now, LastError: "no answer", OpenUntil: now, Forbidden: []string{"entitlements"}},
				Pending: 1, OldestHint: now, Customers: 2, EventsReadAt: now, ComparedAt: now, Taken: 1,
			}, kept.failure()
		},
		Sync: func(_ context.Context, progress func(string, int)) (any, error) {
			if w == broken {
				panic("a bug")
			}
			progress("subscriptions", 120)
			return summary{Summary: billing.Summary{Subscriptions: 120}}, kept.failure()
		},
	}
}

// admin is the admin listener of one world: TLS ends nowhere, and no page of
// ALLOWED_ORIGINS is known.
func admin(t *testing.T, w world, change func(*httpapi.Admin)) http.Handler {
	t.Helper()
	o := options(t, w)
	change(o.Admin)
	return httpapi.NewAdmin(httpapi.Options{Admin: o.Admin, Now: o.Now, Log: o.Log})
}

// TestAdminListener: what is listed under /admin/api is answered alike under
// /api by the admin listener, but for what only the public one knows of.
func TestAdminListener(t *testing.T) {
	compared := 0
	for _, a := range record(t, operatorCalls(), "") {
		if a.plain || a.world == development || a.method == http.MethodHead {
			continue
		}
		compared++
		handler := admin(t, a.world, func(*httpapi.Admin) {})
		for range a.guesses {
			handler.ServeHTTP(httptest.NewRecorder(), call{method: http.MethodGet, path: "/api/bans", from: forger}.request(t, "http://door", ""))
		}
		c := a.call
		c.path = strings.TrimPrefix(c.path, "/admin")
		r := c.request(t, "http://door", "")
		r.RemoteAddr = "127.0.0.1:1"
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, r)
		for name := range a.header {
			if slices.Contains([]string{"Date", "X-Request-Id", "Content-Length", "Vary", "Access-Control-Expose-Headers", "Strict-Transport-Security", "Connection"}, name) {
				continue
			}
			if got.Header().Get(name) != a.header.Get(name) {
				t.Errorf("%s: %s %q, on the public listener %q", a, name, got.Header().Get(name), a.header.Get(name))
			}
		}
		var body map[string]any
		_ = json.Unmarshal(got.Body.Bytes(), &body)
		if got.Code != a.status || body["code"] != a.body["code"] || body["error"] != a.body["error"] {
			t.Errorf("%s: %d %v, on the public listener %d %v", a, got.Code, body, a.status, a.body)
		}
	}
	if compared != wantCompared {
		t.Errorf("%d compared, want %d", compared, wantCompared)
	}
}

// wantCompared is how many calls both listeners got.
const wantCompared = 114

// TestAdminListenerAlone is what the document says of the admin listener's own.
func TestAdminListenerAlone(t *testing.T) {
	for _, c := range []struct {
		path, host string
		open       bool
		status     int
	}{
		{"/", "127.0.0.1:9464", true, http.StatusOK},
		{"/api/live", "127.0.0.1:9464", true, http.StatusOK},
		{"/api/live", "localhost", true, http.StatusOK},
		{"/api/live", "door.internal", true, http.StatusForbidden},
		{"/", "door.internal", true, http.StatusForbidden},
		{"/", "door.internal", false, http.StatusOK},
		{"/api/live", "door.internal", false, http.StatusUnauthorized},
		{"/admin/api/live", "127.0.0.1:9464", true, http.StatusNotFound},
	} {
		handler := admin(t, production, func(m *httpapi.Admin) {
			if c.open {
				m.Token = stagedoor.Secret{}
			}
		})
		got := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = c.host
		handler.ServeHTTP(got, r)
		if got.Code != c.status {
			t.Errorf("%+v: %d %s", c, got.Code, got.Body)
		}
		if c.path == "/" && c.status == http.StatusOK && got.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%+v: %q", c, got.Header())
		}
	}
}

// members lists the JSON members of a struct of the program's source; those
// that may be left out end in "?".
func members(t *testing.T, source, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if field.Tag == nil {
				continue // embedded: of a package that can be imported
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			member, option, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if option != "" {
				member += "?"
			}
			found = append(found, member)
		}
		return false
	})
	return found
}

// TestWhatOperatorsSee holds what is made up here to the program's source.
func TestWhatOperatorsSee(t *testing.T) {
	const source = "../../cmd/stagedoor/desk.go"
	for program, here := range map[string]string{"liveParticipant": "participant", "syncSummary": "summary"} {
		want := members(t, source, program)
		if got := members(t, "desk_test.go", here); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %q, the program has %q", here, got, want)
		}
	}
	schema := mustRead(t).doc.Components.Schemas["LiveParticipant"].Value
	for _, member := range members(t, source, "liveParticipant") {
		name, optional := strings.CutSuffix(member, "?")
		if schema.Properties[name] == nil || slices.Contains(schema.Required, name) == optional {
			t.Errorf("%s is not so in the contract", member)
		}
	}
}

// stripeEvents is the real intake of Stripe's events.
func stripeEvents(t *testing.T, kept *shelf) func(context.Context, []byte, string) error {
	t.Helper()
	b, err := billing.New(t.Context(), billing.Options{Key: stagedoor.NewSecret("sk_test_conformance"),
		WebhookSecrets: []stagedoor.Secret{stagedoor.NewSecret(stripeSecret)}, Store: kept, Transport: failing{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b.Receive
}

// liveKitEvents is the real verifier of LiveKit's events; what comes of an
// event is made up.
func liveKitEvents(kept *shelf) func(context.Context, []byte, string) error {
	verifier := &livekit.WebhookVerifier{Keys: map[string]stagedoor.Secret{liveKitKey: stagedoor.NewSecret(liveKitSecret)}, Now: time.Now}
	return func(_ context.Context, body []byte, authorization string) error {
		if _, err := verifier.Verify(authorization, body); err != nil {
			return err
		}
		return kept.failure()
	}
}

// stripeSignature is the header that Stripe sends with a body.
//
// SPEC: docs.stripe.com/webhooks/signature.
func stripeSignature(body string) string {
	at := time.Now().Unix()
	mac := hmac.New(sha256.New, []byte(stripeSecret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at, body)
	return fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(mac.Sum(nil)))
}

// liveKitSignature is the header that LiveKit sends with a body.
//
// SPEC: livekit/protocol webhook/url_notifier.go.
func liveKitSignature(t *testing.T, body string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": liveKitKey, "exp": time.Now().Add(time.Minute).Unix(),
		"sha256": base64.StdEncoding.EncodeToString(sum[:])}).SignedString([]byte(liveKitSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}
