package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stagedoor"
)

const (
	cookieName = "__Host-session"
	appOrigin  = "https://app.example"
	// doorOrigin is that of the Host which the harness asks for.
	doorOrigin = "https://door.example"
)

func newCookieDoor() *house {
	return newHouse(func(o *Options) { o.AuthCookie, o.AllowedOrigins = cookieName, []string{appOrigin} })
}

// cookieRoutes are the addresses that authenticate a caller, each with a good body.
var cookieRoutes = []struct{ method, path, body string }{
	{"POST", "/api/join", `{"room":"r"}`},
	{"POST", "/api/token", `{"room_name":"r"}`},
	{"POST", "/api/moderate", `{"room":"r","identity":"bob","action":"mute"}`},
	{"POST", "/api/invites", `{"room":"r","expires":3600}`},
	{"GET", "/api/invites", ""},
	{"DELETE", "/api/invites/inv_1", ""},
}

// byCookie asks with a Cookie header, without an Authorization header.
func byCookie(cookie string, more ...string) map[string]string {
	header := map[string]string{"Authorization": "", "Cookie": cookie}
	for i := 0; i < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return header
}

func TestCookieOpensEveryAddressThatATokenOpens(t *testing.T) {
	h := newCookieDoor()
	for _, route := range cookieRoutes {
		for name, header := range map[string]map[string]string{
			"alone":               byCookie(cookieName + "=ann"),
			"among others":        byCookie("a=b; " + cookieName + "=ann; session=bob; __host-session=bob"),
			"from the door":       byCookie(cookieName+"=ann", "Origin", doorOrigin, "Sec-Fetch-Site", "same-origin"),
			"from an allowed one": byCookie(cookieName+"=ann", "Origin", appOrigin, "Sec-Fetch-Site", "cross-site"),
			"a sibling allowed":   byCookie(cookieName+"=ann", "Origin", appOrigin, "Sec-Fetch-Site", "same-site"),
			"typed in":            byCookie(cookieName+"=ann", "Sec-Fetch-Site", "none"),
			"an old browser":      byCookie(cookieName+"=ann", "Origin", doorOrigin),
		} {
			resp := h.do(t, request{method: route.method, path: route.path, body: route.body, header: header})
			if resp.StatusCode >= 300 || !strings.Contains(h.log.String(), `"subject":"ann"`) {
				t.Errorf("%s %s, %s: %s", route.method, route.path, name, resp.Status)
			}
			h.log.Reset()
		}
	}
}

// What a page elsewhere can make a browser send changes nothing, and what it
// may ask for it cannot read.
func TestCrossSiteRequestsCannotUseTheCookie(t *testing.T) {
	h := newCookieDoor()
	for _, route := range cookieRoutes {
		for name, more := range map[string][]string{
			"TestCrossSiteRequestIsForgery":       {"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
			"TestSiblingHostIsAnotherOrigin":      {"Origin", "https://blog.door.example", "Sec-Fetch-Site", "same-site"},
			"a sibling of the app":                {"Origin", "https://evil-app.example", "Sec-Fetch-Site", "cross-site"},
			"TestNullOriginIsForgery":             {"Origin", "null", "Sec-Fetch-Site", "cross-site"},
			"a sandboxed frame, old browser":      {"Origin", "null"},
			"an old browser":                      {"Origin", "https://evil.example"},
			"without an origin":                   {"Sec-Fetch-Site", "cross-site"},
			"the allowed one's plain twin":        {"Origin", "http://app.example", "Sec-Fetch-Site", "cross-site"},
			"another port":                        {"Origin", doorOrigin + ":8443", "Sec-Fetch-Site", "same-site"},
			"another port, old browser":           {"Origin", doorOrigin + ":8443"},
			"a value that is not in the standard": {"Origin", "https://evil.example", "Sec-Fetch-Site", "Same-Origin"},
		} {
			h.log.Reset()
			resp := h.do(t, request{method: route.method, path: route.path, body: route.body, header: byCookie(cookieName+"=ann", more...)})
			if resp.Header.Get("Access-Control-Allow-Origin") != "" || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %s, %s: the page may read the answer: %v", route.method, route.path, name, resp.Header)
			}
			mustRefuse(t, resp, http.StatusForbidden, "origin_not_allowed")
			if strings.Contains(h.log.String(), `"subject"`) {
				t.Errorf("%s %s, %s: the caller was authenticated", route.method, route.path, name)
			}
		}
	}
}

// A form needs no preflight; it cannot be of JSON.
func TestFormsCannotUseTheCookie(t *testing.T) {
	h := newCookieDoor()
	for _, content := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain;application/json"} {
		// The worst case: a browser that says nothing of where the form was.
		resp := h.do(t, request{header: byCookie(cookieName+"=ann", "Content-Type", content)})
		mustRefuse(t, resp, http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
}

// A sibling host can set a cookie of the same name for the whole domain, and
// have it sent first.
func TestTossedCookieIsRefused(t *testing.T) {
	h := newCookieDoor()
	for name, cookie := range map[string]string{
		"first":                    cookieName + "=bob; " + cookieName + "=ann",
		"last":                     cookieName + "=ann; x=y; " + cookieName + "=bob",
		"the same":                 cookieName + "=ann; " + cookieName + "=ann",
		"empty":                    cookieName + "=; " + cookieName + "=ann",
		"what net/http leaves out": cookieName + "=b\"ob; " + cookieName + "=ann",
		"without a value":          cookieName + "; " + cookieName + "=ann",
		"with white space":         cookieName + " =bob;" + cookieName + "\t=ann",
		"no space between":         cookieName + "=bob;" + cookieName + "=ann",
	} {
		resp := h.do(t, request{header: byCookie(cookie)})
		mustRefuse(t, resp, http.StatusUnauthorized, "invalid_token")
		if !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %v", name, resp.Header)
		}
	}
	r := httptest.NewRequest("POST", doorOrigin+"/api/join", strings.NewReader(`{"room":"r"}`))
	r.Header["Cookie"] = []string{cookieName + "=ann", cookieName + "=bob"}
	mustRefuse(t, serve(h.harness, r), http.StatusUnauthorized, "invalid_token")
}

func TestBadCookieIsABadToken(t *testing.T) {
	h := newCookieDoor()
	for cookie, code := range map[string]string{
		"":                             "missing_token",
		"session=ann":                  "missing_token",
		"__host-session=ann":           "missing_token",
		"x__Host-session=ann":          "missing_token",
		cookieName + "=":               "missing_token",
		"a=" + cookieName + "=ann":     "missing_token",
		cookieName + "=carol":          "invalid_token",
		cookieName + `="ann"`:          "invalid_token",
		cookieName + "=Bearer ann":     "invalid_token",
		cookieName + "=a%6En":          "invalid_token",
		cookieName + "=ann" + "\u0085": "invalid_token",
		cookieName + "=ann=":           "invalid_token",
		cookieName + "=ann, session=x": "invalid_token",
	} {
		mustRefuse(t, h.do(t, request{header: byCookie(cookie)}), http.StatusUnauthorized, code)
	}
}

// The header is the caller's own word on every request; the cookie is what a
// browser adds.
func TestCookieIsLookedAtOnlyWithoutAnAuthorizationHeader(t *testing.T) {
	h := newCookieDoor()
	for authorization, want := range map[string]string{"Bearer bob": "200 ", "Bearer carol": "401 invalid_token", "Bearer": "401 missing_token", "Basic YTpi": "401 missing_token"} {
		h.log.Reset()
		resp := h.do(t, request{header: map[string]string{"Authorization": authorization, "Cookie": cookieName + "=ann; " + cookieName + "=ann"}})
		code, _ := bodyOf(t, resp)["code"].(string)
		if resp.Status[:4]+code != want || strings.Contains(h.log.String(), `"subject":"ann"`) {
			t.Errorf("%s: %s %s: %s", authorization, resp.Status, code, h.log)
		}
	}
	// A page that has the token itself is not limited by where it is; it may
	// not read the answer.
	resp := h.do(t, request{header: map[string]string{"Authorization": "Bearer bob", "Cookie": cookieName + "=ann", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}})
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

func TestCookiesAreNotLookedAtUnlessConfigured(t *testing.T) {
	h := newHouse(func(o *Options) { o.AllowedOrigins = []string{appOrigin} })
	for _, route := range cookieRoutes {
		for _, cookie := range []string{cookieName + "=ann", "=ann", "AUTH_COOKIE=ann", "token=ann", "Authorization=Bearer ann", "=ann; =ann"} {
			resp := h.do(t, request{method: route.method, path: route.path, body: route.body, header: byCookie(cookie, "Origin", appOrigin)})
			mustRefuse(t, resp, http.StatusUnauthorized, "missing_token")
			if resp.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("browsers are told to send cookies: %v", resp.Header)
			}
		}
	}
}

func TestCookieNeverOpensTheOperatorsAPI(t *testing.T) {
	d := &desk{}
	h := newHarness(func(o *Options) {
		o.AuthCookie, o.Admin = cookieName, d.admin()
		o.Admin.Token = stagedoor.NewSecret(adminSecret)
	})
	for _, method := range []string{"GET", "POST", "DELETE"} {
		resp := h.do(t, request{method: method, path: "/admin/api/bans", header: byCookie(cookieName+"="+adminSecret, "Origin", doorOrigin, "Sec-Fetch-Site", "same-origin")})
		mustRefuse(t, resp, http.StatusUnauthorized, "missing_token")
	}
}

func TestCredentialsAreSharedWithAllowedOriginsAlone(t *testing.T) {
	h := newCookieDoor()
	preflight := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"}
	for origin, want := range map[string]string{appOrigin: "true", "https://evil.example": "", "null": "", doorOrigin: "", "https://APP.example": ""} {
		for _, resp := range []*http.Response{
			h.do(t, request{method: "OPTIONS", header: byCookie("", append(preflight, "Origin", origin)...)}),
			h.do(t, request{header: byCookie(cookieName+"=ann", "Origin", origin)}),
			h.do(t, request{header: byCookie("", "Origin", origin)}),
		} {
			got := resp.Header
			if got.Get("Access-Control-Allow-Credentials") != want || (got.Get("Access-Control-Allow-Origin") == origin) != (want != "") || got.Get("Access-Control-Allow-Origin") == "*" {
				t.Errorf("%s: %s %v", origin, resp.Status, got)
			}
		}
	}
	for _, path := range []string{"/livekit-join.js", "/openapi.yaml"} {
		resp := h.do(t, request{method: "GET", path: path, header: byCookie("", "Origin", appOrigin)})
		if resp.Header.Get("Access-Control-Allow-Origin") != "*" || resp.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, resp.Header)
		}
	}
}

func TestNoCookieIsLogged(t *testing.T) {
	h := newCookieDoor()
	for _, cookie := range []string{cookieName + "=canary-1", cookieName + "=canary-2; " + cookieName + "=canary-3", "canary-4=canary-5"} {
		h.do(t, request{header: byCookie(cookie)})
		h.do(t, request{header: byCookie(cookie, "Origin", "https://evil.example")})
	}
	if strings.Contains(h.log.String(), "canary") || strings.Count(h.log.String(), "\n") != 6 {
		t.Error(h.log)
	}
}
