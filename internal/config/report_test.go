package config

import (
	"errors"
	"strings"
	"testing"
)

func TestFiveMistakesAtOnce(t *testing.T) {
	_, report := Load(Serve, []string{
		"LIVEKIT_URL=ws://sfu.acme.test",
		"LIVEKIT_API_KEY=APIq7wJc2xYt9Lr",
		"JWT_SECRET=shhhh",
		"TOKEN_TTL=3600",
		"ALLOWED_ORIGINS=https://app.acme.test,*",
		"TRUSTED_PROXIES=10.0.0.0/8",
		"OIDC_ISUER=https://idp.acme.test",
		"PATH=/bin",
	}, "testdata/empty.env")
	const want = `5 problems in the configuration:

  LIVEKIT_URL         would send credentials in clear text to a host that is not private
                      → use wss://
  LIVEKIT_API_SECRET  LiveKit credentials not configured
                      → copy the API secret from LiveKit Cloud, Settings, Keys
  ALLOWED_ORIGINS     entry 2 is a wildcard: any site could call the door with its visitors' tokens
                      → list every origin exactly
  JWT_SECRET          is shorter than 32 bytes: it can be found by trying
                      → use the output of: openssl rand -base64 48
  TOKEN_TTL           has no unit
                      → write 3600s or 1h

3 warnings in the configuration:

  POLICY_FILE         is not set: every authenticated caller may watch every room
                      → write a policy file (docs/policy.md) and name it in POLICY_FILE
  STRIPE_SECRET_KEY   is not set: nobody is entitled by payment, so nobody may publish
                      → set it to a restricted key (rk_…) that may read customers, subscriptions, products, prices, Checkout sessions, events and entitlements
  OIDC_ISUER          is not known: did you mean OIDC_ISSUER?
`
	var plain, color strings.Builder
	if err := errors.Join(report.Format(&plain, false), report.Format(&color, true)); err != nil {
		t.Fatal(err)
	}
	if plain.String() != want {
		t.Errorf("the report is\n%s\nwant\n%s", plain.String(), want)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("colour without being asked for")
	}
	uncolored := strings.NewReplacer(red, "", yellow, "", dim, "", "\x1b[0m", "").Replace(color.String())
	if uncolored != want || !strings.Contains(color.String(), red+"JWT_SECRET\x1b[0m") {
		t.Errorf("the coloured report is\n%q", color.String())
	}
	for _, name := range []string{"LIVEKIT_URL", "LIVEKIT_API_SECRET", "ALLOWED_ORIGINS", "JWT_SECRET", "TOKEN_TTL"} {
		if !strings.Contains(report.Err().Error(), name+": ") || strings.Contains(report.Err().Error(), "\n") {
			t.Errorf("Err() is %v", report.Err())
		}
	}
}

func TestCleanReport(t *testing.T) {
	var out strings.Builder
	var clean Report
	if err := clean.Format(&out, true); err != nil || out.Len() > 0 || clean.Err() != nil {
		t.Errorf("a clean report says %q, %v, %v", out.String(), err, clean.Err())
	}
}

// A name comes from the environment, which others may have written.
func TestNamesCannotSteerTheTerminal(t *testing.T) {
	_, report := load(t, Serve, "STAGEDOOR_\x1b[2J\r=1")
	var out strings.Builder
	if err := report.Format(&out, false); err != nil {
		t.Fatal(err)
	}
	if text := out.String() + report.Err().Error(); strings.ContainsAny(text, "\x1b\r") || !strings.Contains(text, `"STAGEDOOR_\x1b[2J\r"`) {
		t.Errorf("the report is %q", text)
	}
}

func TestFormatReturnsWriteErrors(t *testing.T) {
	_, report := load(t, Serve, "PORT=x")
	if err := report.Format(failingWriter{}, false); !errors.Is(err, errFull) {
		t.Errorf("the error is %v", err)
	}
}

var errFull = errors.New("no room left")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }
