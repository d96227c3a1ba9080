package authn

import (
	"encoding/json"
	"reflect"
	"testing"

	"stagedoor"
)

func TestToken_NumbersStayExact(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	p := mustAccept(t, a, shared("HS256").sign(t, with(map[string]any{
		"courses": json.RawMessage("[1234567890123456789,-9007199254740993,1e3,1.0,0.5,18446744073709551615]"),
		"org":     map[string]any{"id": json.Number("9007199254740993")},
	}), nil))
	want := []any{int64(1234567890123456789), int64(-9007199254740993), int64(1000), int64(1), 0.5, json.Number("18446744073709551615")}
	if !reflect.DeepEqual(p.Claims["courses"], want) || !reflect.DeepEqual(p.Claims["org"], map[string]any{"id": int64(9007199254740993)}) {
		t.Errorf("%#v", p.Claims)
	}
}

func TestToken_TimesThatNoClockKnowsAreRefused(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	for _, number := range []string{"9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e19", "1e300", "1e400", "-1e400",
		"253402300800", "1e-400", "1795400000.00000000000000001"} {
		for _, name := range []string{"exp", "nbf", "iat"} {
			mustRefuse(t, a, shared("HS256").sign(t, with(map[string]any{name: json.RawMessage(number)}), nil), stagedoor.InvalidToken)
		}
	}
	fine := map[string]any{"exp": json.RawMessage("2.534e11"), "nbf": json.RawMessage("0.5"), "iat": json.RawMessage("-0")}
	mustAccept(t, a, shared("HS256").sign(t, with(fine), nil))
}

// TestToken_StaysStrictJSON: numbers are read by a method of Claims, which must
// not loosen what a payload may be.
func TestToken_StaysStrictJSON(t *testing.T) {
	for _, payload := range []string{`{"a":1,"a":1}`, `{"a":{"b":1,"b":2}}`, `{"a":"` + "\xff" + `"}`, `{"a":"\ud800"}`, `{"a":01}`, `{"a":+1}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":NaN}`, `{"a":0x10}`, `{"a":1} {}`, `{"a":1}x`, `{"a":1,}`, `[]`, `null`, `1`, ``} {
		if claims, err := decodeClaims([]byte(payload)); err == nil {
			t.Errorf("%q was taken: %v", payload, claims)
		}
	}
}
