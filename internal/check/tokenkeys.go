package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// publishedSignature holds a token against its issuer's keys, which are
// fetched from where the configuration says, never from where the token says.
func (w *walk) publishedSignature(ctx context.Context, i Issuer) {
	const title = "its signature holds"
	set, a, err := w.target.keySet(ctx, i)
	if err != nil {
		w.say("signature", title, Fail, "the keys of "+i.ID+" cannot be loaded: "+err.Error(), "see callers.issuer and callers.keys of stagedoor check")
		return
	}
	if a.dated && a.skew.Abs() > skewWarn {
		w.say("clock", "the clock agrees with the issuer's", either(a.skew.Abs() > skewFail, Fail, Warn), "this machine's clock is "+said(a.skew.Abs())+" "+either(a.skew < 0, "behind", "ahead of")+" "+i.ID+"'s", "set the clock by NTP")
	}
	kid, _ := w.header["kid"].(string)
	ids := keyIDs(set)
	switch known := slices.Contains(ids, kid); {
	case kid == "":
		w.say("key", "its key is known", either(len(ids) == 1, Pass, Warn), "it names no key (kid); "+count(len(ids), "key is", "keys are")+" published", "")
	case known:
		w.say("key", "its key is known", Pass, "kid "+w.shown(kid), "")
	default:
		w.say("key", "its key is known", Fail, "kid "+w.shown(kid)+" is not among the "+count(len(ids), "key", "keys")+" that "+i.ID+" publishes", "get a new token: this one is of a key that was rotated out, or of another provider or environment")
	}
	if err := w.ring.Verify(w.token, set); err != nil {
		w.say("signature", title, Fail, clip(err.Error()), "get a new token from "+i.ID+"; if it fails too, it was changed on its way")
		return
	}
	w.say("signature", title, Pass, "a key of "+i.ID+" proves it", "")
}

// keySet fetches an issuer's key set from where the configuration says.
func (t *Target) keySet(ctx context.Context, i Issuer) ([]byte, answer, error) {
	address := i.JWKSURL
	if address == "" {
		a, err := t.ask(ctx, question{url: strings.TrimSuffix(i.ID, "/") + "/.well-known/openid-configuration", within: true})
		var document struct {
			JWKSURI string `json:"jwks_uri"`
		}
		if err != nil {
			seen, _ := trouble(err, i.ID, i.Variable)
			return nil, a, errors.New(seen)
		}
		if a.status != http.StatusOK || json.Unmarshal(a.body, &document) != nil {
			return nil, a, fmt.Errorf("HTTP %d and no discovery document", a.status)
		}
		address = document.JWKSURI
	}
	place, err := url.Parse(address)
	if err != nil || place.Scheme != "https" && !strings.HasPrefix(i.ID, "http://") && i.JWKSURL == "" {
		return nil, answer{}, errors.New("it names no https address for them")
	}
	a, err := t.ask(ctx, question{url: address, within: true})
	if err != nil {
		seen, _ := trouble(err, address, i.Variable)
		return nil, a, errors.New(seen)
	}
	if a.status != http.StatusOK {
		return nil, a, fmt.Errorf("HTTP %d", a.status)
	}
	return a.body, a, nil
}

// keyIDs are the ids of a set's keys.
func keyIDs(set []byte) []string {
	var document struct {
		Keys []struct {
			Kid string `json:"kid"`
		} `json:"keys"`
	}
	_ = json.Unmarshal(set, &document)
	var ids []string
	for _, k := range document.Keys {
		ids = append(ids, k.Kid)
	}
	return ids
}
