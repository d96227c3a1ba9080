package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"stagedoor"
)

// decoded are claims as a token's JSON gives them.
func decoded(t testing.TB, text string) stagedoor.Claims {
	t.Helper()
	var claims stagedoor.Claims
	if err := json.Unmarshal([]byte(text), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestRemember_KeepsEveryNumberExactly(t *testing.T) {
	f := newFixture(t)
	p := person(ann, "", time.Unix(1_800_000_000, 0).UTC())
	p.Claims = decoded(t, `{"courses":[1234567890123456789,-9007199254740993,9223372036854775807,18446744073709551616,0.1,1e3,1e-400],
		"deep":{"id":9007199254740993}}`)
	_, err := f.Remember(t.Context(), p)
	f.must(err)
	kept, _, err := f.Principal(t.Context(), ann)
	f.must(err)
	found, err := f.FindPrincipals(t.Context(), "ann", 1)
	f.must(err)
	if !reflect.DeepEqual(kept.Claims, p.Claims) || !reflect.DeepEqual(found[0].Claims, p.Claims) {
		t.Errorf("\nkept  %#v\nfound %#v\nwant  %#v", kept.Claims, found[0].Claims, p.Claims)
	}
	writes := 0
	f.Wrote = func(bool, time.Duration, error) { writes++ }
	if _, err := f.Remember(t.Context(), p); err != nil || writes != 0 {
		t.Errorf("the same claims were written again: %d, %v", writes, err)
	}
}

// TestPrincipalOfAnEarlierVersion_LosesItsRoundedNumbers: that version wrote
// 1234567890123456789 as 1234567890123456800, which is another's number.
func TestPrincipalOfAnEarlierVersion_LosesItsRoundedNumbers(t *testing.T) {
	f := newFixture(t)
	p := person(ann, "", time.Unix(1_800_000_000, 0).UTC())
	p.Claims = decoded(t, `{"courses":[7,1234567890123456800],"deep":{"id":-9007199254740992},"role":"host"}`)
	_, err := f.Remember(t.Context(), p)
	f.must(err)
	f.must(f.write(t.Context(), acknowledged, "age a row", func(tx tx) error {
		_, err := tx.exec("UPDATE principals SET claims_exact = FALSE")
		return err
	}))
	kept, _, err := f.Principal(t.Context(), ann)
	f.must(err)
	want := stagedoor.Claims{"courses": []any{int64(7), json.Number("1234567890123456800")},
		"deep": map[string]any{"id": json.Number("-9007199254740992")}, "role": "host"}
	if !reflect.DeepEqual(kept.Claims, want) {
		t.Errorf("%#v", kept.Claims)
	}
	p.Claims = decoded(t, `{"courses":[7,1234567890123456789],"role":"host"}`)
	_, err = f.Remember(t.Context(), p)
	f.must(err)
	if kept, _, err = f.Principal(t.Context(), ann); err != nil || !reflect.DeepEqual(kept.Claims, p.Claims) {
		t.Errorf("%#v %v", kept.Claims, err)
	}
}
