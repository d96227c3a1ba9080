package httpapi

import (
	"strings"
	"testing"
)

func TestSecretInThePathIsNotLogged(t *testing.T) {
	h := newHarness(nil)
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
	mustRefuse(t, h.do(t, request{path: "/api/join/" + token}), 404, "not_found")
	if h.log.Len() == 0 || strings.Contains(h.log.String(), token) || !strings.Contains(h.log.String(), `"path":"/api/join/…"`) {
		t.Error(h.log)
	}
}

func TestOnlyABrowsersOriginIsLogged(t *testing.T) {
	for origin, want := range map[string]string{
		"https://my-app-git-branch-of-somebody.vercel.app": "https://my-app-git-branch-of-somebody.vercel.app",
		"http://[::1]:5173": "http://[::1]:5173", "null": "null", "capacitor://localhost": "capacitor://localhost",
		"https://Zu5qkW3vB1xM9rT7yL0pN8sD6fG4hJ2c.example": "not a browser's", "Zu5qkW3v": "not a browser's", "https://a@b": "not a browser's", "https://a/b": "not a browser's",
	} {
		if got := plainOrigin(origin); got != want {
			t.Errorf("%s: %s", origin, got)
		}
	}
}
