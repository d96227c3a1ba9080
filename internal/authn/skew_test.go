package authn

import (
	"errors"
	"testing"
	"time"

	"stagedoor"
)

// A token that is refused by as much as a wrong clock explains says so.
func TestAuthenticate_NamesTheClocks(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }
	const clocks = "the clock of its issuer or of this server is wrong"
	for want, change := range map[string]map[string]any{
		"the token is not valid yet (nbf), for 40s more: " + clocks:     {"nbf": at(40 * time.Second)},
		"the token is not valid yet (nbf)":                              {"nbf": at(time.Hour)},
		"the token was issued in the future (iat), in 1m30s: " + clocks: {"iat": at(90 * time.Second)},
		"the token was issued in the future (iat)":                      {"iat": at(time.Hour) * 1000},
		"the token has expired, 10m0s ago; if it is new, " + clocks:     {"exp": at(-10 * time.Minute)},
		"the token has expired":                                         {"exp": at(-11 * time.Minute)},
		"the token is not valid yet (nbf), for 9m59s more: " + clocks:   {"nbf": float64(at(9*time.Minute+58*time.Second)) + 0.5},
	} {
		_, err := a.Authenticate(t.Context(), stagedoor.Credential{Secret: stagedoor.NewSecret(shared("HS256").sign(t, with(change), nil))})
		var refused *stagedoor.Error
		if !errors.As(err, &refused) || refused.Detail != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
