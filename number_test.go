package stagedoor

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestNumber_HoldsIntegersExactly(t *testing.T) {
	for text, want := range map[string]any{
		"0": int64(0), "-0": int64(0), "0.0": int64(0), "0e5": int64(0), "1": int64(1), "1.0": int64(1), "1e3": int64(1000),
		"1E+3": int64(1000), "-1.50e1": int64(-15), "120e-1": int64(12), "0.001e3": int64(1), "3.5": 3.5, "-0.25": -0.25, "1e-3": 0.001,
		"9007199254740993":  int64(9007199254740993), // 2^53 + 1, which no float64 is
		"-9007199254740993": int64(-9007199254740993), "9007199254740993.0": int64(9007199254740993),
		"1234567890123456789": int64(1234567890123456789), "1.234567890123456789e18": int64(1234567890123456789),
		"9223372036854775807": int64(math.MaxInt64), "-9223372036854775808": int64(math.MinInt64), "1e18": int64(1e18),
		// Outside int64.
		"9223372036854775808": json.Number("9223372036854775808"), "-9223372036854775809": json.Number("-9223372036854775809"),
		"18446744073709551615": json.Number("18446744073709551615"), "1e19": json.Number("1e19"), "1e400": json.Number("1e400"),
		"1e999999999999999999999": json.Number("1e999999999999999999999"),
		// No integers, though their nearest float64 is one.
		"9007199254740993.5": json.Number("9007199254740993.5"), "0.99999999999999999999": json.Number("0.99999999999999999999"),
		"1e-400": json.Number("1e-400"), "-4503599627370497.2": json.Number("-4503599627370497.2"),
		"1e-999999999999999999999": json.Number("1e-999999999999999999999"),
	} {
		if got := Number(text); got != want {
			t.Errorf("%s is %T %v, want %T %v", text, got, got, want, want)
		}
	}
}

func TestClaims_KeepNumbersAtEveryDepth(t *testing.T) {
	const text = `{"a":1234567890123456789,"b":[{"c":-9007199254740993,"d":[0.5,18446744073709551616]}],"e":"1","f":null}`
	want := Claims{"a": int64(1234567890123456789), "b": []any{map[string]any{
		"c": int64(-9007199254740993), "d": []any{0.5, json.Number("18446744073709551616")}}}, "e": "1", "f": nil}
	var got Claims
	if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%#v %v", got, err)
	}
	if again, err := json.Marshal(got); err != nil || string(again) != text {
		t.Errorf("%s %v", again, err)
	}
	if names := got.Inexact(); !slices.Equal(names, []string{"b"}) {
		t.Errorf("inexact: %v", names)
	}
	if err := json.Unmarshal([]byte("null"), &got); err != nil || got != nil {
		t.Errorf("null gave %v %v", got, err)
	}
	if json.Unmarshal([]byte("[1]"), &got) == nil {
		t.Error("a list was taken for claims")
	}
}

// TestNumber_CannotBeMadeExpensive: an exponent costs a caller nothing, and
// must not cost the server memory.
func TestNumber_CannotBeMadeExpensive(t *testing.T) {
	long := strings.Repeat("9", 8000)
	for _, text := range []string{"1e999999999", "-1e-999999999", "0e999999999", long + "e-999999999", long, "0." + long + "e8000"} {
		if bytes := testing.AllocsPerRun(10, func() { Number(text) }); bytes > 20 {
			t.Errorf("%.20s took %v allocations", text, bytes)
		}
	}
}

// FuzzNumber holds every JSON number to its property: it comes out equal or
// not at all, and the same after it was written and read again.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"0", "-1", "9007199254740993", "-9223372036854775809", "1e3", "12.50e-1", "0.1", "4503599627370497.5", "1e-400"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 || !json.Valid([]byte(text)) || strings.Trim(text, "-+.eE0123456789") != "" {
			return
		}
		got := Number(text)
		if i, ok := got.(int64); ok && !equals(text, big.NewRat(i, 1)) {
			t.Fatalf("%s became %d", text, i)
		}
		if d, ok := got.(float64); ok && (d == math.Trunc(d) || math.Abs(d) >= 1<<53) {
			t.Fatalf("%s became %v, which an integer could equal", text, d)
		}
		if n, ok := got.(json.Number); ok && string(n) != text {
			t.Fatalf("%s became %s", text, n)
		}
		if exact, ok := rational(text); ok && exact.IsInt() && exact.Num().IsInt64() && got != exact.Num().Int64() {
			t.Fatalf("%s is an int64 and became %T %v", text, got, got)
		}
		written, err := json.Marshal(Claims{"n": got})
		var read Claims
		if err != nil || json.Unmarshal(written, &read) != nil || read["n"] != got {
			t.Fatalf("%s became %v, then %s, then %v: %v", text, got, written, read["n"], err)
		}
	})
}

// rational is the exact value of a number whose exponent is small.
func rational(text string) (*big.Rat, bool) {
	if _, power, scaled := strings.Cut(strings.ToLower(text), "e"); scaled && len(strings.TrimLeft(power, "+-0")) > 3 {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// equals reports whether a number's text has this value; an exponent that is
// too large to look at belongs to 0 alone.
func equals(text string, value *big.Rat) bool {
	exact, ok := rational(text)
	if !ok {
		return value.Sign() == 0 && strings.Trim(strings.ToLower(strings.SplitN(strings.ToLower(text), "e", 2)[0]), "-0.") == ""
	}
	return exact.Cmp(value) == 0
}
