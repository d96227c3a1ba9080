package config

import (
	"bytes"
	"strings"
	"testing"
)

// Some entries of the list, as it writes them. Each passes every other check.
var fromTheList = []string{
	"spookySecretVeryVeryVerySecretive",
	"authentication-secret-key-lies-here",
	"sg must be lunched today by the virtue of grace",
	"a random, long, sequence of characters that only the server knows",
	"2r5u8x/AD*G-KaPdSgVkYp3s6v9y$B&E(H+MbQeThWmZq4t7wzC*F-J@NcRf",
	"9fb71820-db14-43bf-99cb-c38b407b2d41",
}

func TestListedSecretIsRefused(t *testing.T) {
	if n := len(publishedMarks); n != 1826*markSize {
		t.Fatalf("%d bytes of marks", n)
	}
	for at := markSize; at < len(publishedMarks); at += markSize {
		if bytes.Compare(publishedMarks[at-markSize:at], publishedMarks[at:at+markSize]) >= 0 {
			t.Fatalf("the marks are not in order at %d", at)
		}
	}
	for _, secret := range fromTheList {
		for name, spelt := range map[string]string{
			"as listed": secret, "in capitals": strings.ToUpper(secret), "in lower case": strings.ToLower(secret),
		} {
			if got := weaknessOf(spelt, 32); got != published {
				t.Errorf("%s, %q is %d", name, spelt, got)
			}
		}
		if changed := secret[:len(secret)-1] + "~"; weaknessOf(changed, 32) != strong {
			t.Errorf("%q is refused for another reason than the list", changed)
		}
	}
	for _, secret := range []string{goodJWT, goodLiveKit, goodOther, goodMore, ""} {
		if marked(strings.ToLower(secret)) {
			t.Errorf("%q is listed", secret)
		}
	}
}

// A pair is rotated as a whole: LiveKit's events name the key alone.
func TestPreviousLiveKitKeyIsAnother(t *testing.T) {
	check(t, []rule{
		{"the same key", Serve, []string{"LIVEKIT_API_KEY_PREVIOUS=" + serving()["LIVEKIT_API_KEY"], "LIVEKIT_API_SECRET_PREVIOUS=" + goodOther}, []string{"LIVEKIT_API_KEY_PREVIOUS: equals LIVEKIT_API_KEY"}, nil},
		{"another key", Serve, []string{"LIVEKIT_API_KEY_PREVIOUS=APIold", "LIVEKIT_API_SECRET_PREVIOUS=" + goodOther}, nil, nil},
	})
}
