package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"stagedoor/internal/inflight"

	"stagedoor"
)

type watchKey struct{}

// Every answer is told of with a route of the fixed list, however it came to
// be, and its trace is in the log line.
func TestEveryAnswerIsToldOf(t *testing.T) {
	var told []string
	h := newHarness(func(o *Options) {
		o.StripeEvent = func(ctx context.Context, _ []byte, _ string) error {
			if ctx.Value(watchKey{}) == nil {
				t.Error("the context is not the watch's")
			}
			return nil
		}
		o.Limits = Limits{InFlight: inflight.Options{Running: 1, Waiting: 1, QueueTimeout: time.Millisecond}, Caller: nil}
		o.Watch = func(r *http.Request, route string) (context.Context, string, func(Answer)) {
			if !slices.Contains(Routes(), route) {
				t.Errorf("%s is not of the list", route)
			}
			return context.WithValue(r.Context(), watchKey{}, true), "trace-of-" + r.Method, func(a Answer) {
				told = append(told, fmt.Sprintf("%s %d %t %s publish=%t %s", a.Route, a.Status, a.Refused, a.Kind, a.Publish, a.Denied))
				if a.RequestID == "" || a.Took < 0 {
					t.Errorf("%+v", a)
				}
			}
		}
	})
	for _, r := range []request{
		{}, {header: map[string]string{"Authorization": "Bearer bob"}}, {header: map[string]string{"Authorization": "Bearer nobody"}},
		{path: "/api/token", body: `{}`}, {method: "GET"}, {method: "GET", path: "/healthz"}, {path: "/webhooks/stripe", header: map[string]string{"Stripe-Signature": "x"}},
		{method: "GET", path: "/api/invites/inv_stranger"}, {method: "GET", path: "/no/such/page"}, {method: "GET", path: "//api/join"},
	} {
		resp := h.do(t, r)
		_ = resp.Body.Close()
	}
	h.mu.Lock()
	h.panics = true
	h.mu.Unlock()
	resp := h.do(t, request{})
	_ = resp.Body.Close()
	want := []string{
		"/api/join 200 false internal publish=true ", "/api/join 200 false internal publish=false no_subscription", "/api/join 401 true invalid_token publish=false ",
		"/api/token 400 true room_required publish=false ", "/api/join 405 true method_not_allowed publish=false ", "/healthz 200 false internal publish=false ",
		"/webhooks/stripe 200 false internal publish=false ", "/api/invites/{id} 405 true method_not_allowed publish=false ", "other 404 true not_found publish=false ", "other 404 true not_found publish=false ",
		"/api/join 500 true internal publish=false ",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told of\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(h.log.String(), `"traceId":"trace-of-POST"`) {
		t.Errorf("no trace in the log:\n%s", h.log)
	}
}

// What limits refuse is told of with the limit's name.
func TestRefusalByALimitIsToldOf(t *testing.T) {
	var limits []string
	h := newHarness(func(o *Options) {
		o.Limits = Limits{Caller: nil}
		o.Door.Limiter = refusing{&o.Limits}
		o.Watch = func(r *http.Request, _ string) (context.Context, string, func(Answer)) {
			return r.Context(), "", func(a Answer) { limits = append(limits, a.Limit) }
		}
	})
	resp := h.do(t, request{})
	_ = resp.Body.Close()
	if !slices.Equal(limits, []string{"user"}) {
		t.Errorf("%q", limits)
	}
}

type refusing struct{ *Limits }

func (refusing) Allow(ctx context.Context, _ stagedoor.Principal) error {
	return recordOf(ctx).spend(Quota{Name: "user", Limit: 1, Window: time.Second}, "x")
}

// Metrics and profiles are the admin listener's: never the public one's.
func TestMetricsAndProfilesAreOnTheAdminListenerAlone(t *testing.T) {
	d := &desk{}
	admin := d.admin()
	admin.Token = stagedoor.NewSecret(adminSecret)
	admin.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	admin.Profiles = Profiles()
	public := newHarness(func(o *Options) { o.Admin = admin })
	operators := newHarness(nil)
	operators.api = NewAdmin(Options{Admin: admin, Now: time.Now, Log: newTestLog(operators)})
	right := map[string]string{"Authorization": "Bearer " + adminSecret}
	for _, c := range []struct {
		h      *harness
		r      request
		status int
	}{
		{operators, request{method: "GET", path: "/metrics", header: right}, 200},
		{operators, request{method: "GET", path: "/metrics"}, 401},
		{operators, request{method: "GET", path: "/metrics", header: map[string]string{"Authorization": ""}}, 401},
		{operators, request{method: "POST", path: "/metrics", header: right}, 405},
		{public, request{method: "GET", path: "/metrics", header: right}, 404},
		{public, request{method: "GET", path: "/admin/metrics", header: right}, 404},
		{public, request{method: "GET", path: "/admin/api/metrics", header: right}, 404},
		{public, request{method: "GET", path: "/admin/api/bans", header: right}, 200},
		{operators, request{method: "GET", path: "/debug/pprof/", header: right}, 200},
		{operators, request{method: "GET", path: "/debug/pprof/heap", header: right}, 200},
		{operators, request{method: "GET", path: "/debug/pprof/symbol", header: right}, 200},
		{operators, request{method: "GET", path: "/debug/pprof/cmdline", header: right}, 200},
		{operators, request{method: "GET", path: "/debug/pprof/nothing", header: right}, 404},
		{operators, request{method: "POST", path: "/debug/pprof/heap", header: right}, 405},
		{operators, request{method: "GET", path: "/debug/pprof/"}, 401},
		{operators, request{method: "GET", path: "/debug/pprof/heap"}, 401},
		{operators, request{method: "GET", path: "/debug/pprof/profile", header: map[string]string{"Authorization": ""}}, 401},
		{public, request{method: "GET", path: "/debug/pprof/", header: right}, 404},
		{public, request{method: "GET", path: "/debug/pprof/heap", header: right}, 404},
		{public, request{method: "GET", path: "/admin/debug/pprof/", header: right}, 404},
		{public, request{method: "GET", path: "/admin/api/debug/pprof/heap", header: right}, 404},
	} {
		resp := c.h.do(t, c.r)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.r.method, c.r.path, resp.StatusCode, c.status)
		}
	}
}

// A profile of 12 s outlives the server's read timeout of 10 s, which must not
// cut it off: the deadline is cleared before the handler starts to wait.
func TestProfiles_ClearTheReadDeadline(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	Profiles().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/cmdline", nil))
	if !w.read || w.Code != http.StatusOK {
		t.Errorf("read deadline cleared: %t, status %d", w.read, w.Code)
	}
}

// deadlines records that a handler cleared its connection's read deadline.
type deadlines struct {
	*httptest.ResponseRecorder
	read bool
}

// SetReadDeadline is http.ResponseController's.
func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.read = at.IsZero()
	return nil
}
