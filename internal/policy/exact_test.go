package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"stagedoor"
)

// claimsOf decodes claims as they come from a token and from the database.
func claimsOf(t testing.TB, text string) stagedoor.Claims {
	t.Helper()
	var claims stagedoor.Claims
	if err := json.Unmarshal([]byte(text), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// admits reports whether a join condition lets the claims into the room.
func admits(t testing.TB, condition, room string, claims stagedoor.Claims) bool {
	t.Helper()
	_, err := parse(t, one("room: 'course-{owner}'", "join: >-", "  "+condition)).Decide(who(room, claims))
	return err == nil
}

func TestLargeNumbers_OpenTheirOwnRoomAlone(t *testing.T) {
	const own, neighbour = "course-1234567890123456789", "course-1234567890123456701"
	claims := claimsOf(t, `{"courses":[7,1234567890123456789],"course":1234567890123456789,"by":{"id":1234567890123456789}}`)
	for _, condition := range []string{
		"int(room.owner) in claims.courses",
		"room.owner in claims.courses.map(c, string(c))",
		"claims.courses.exists(c, string(c) == room.owner)",
		"claims.courses.exists(c, c == int(room.owner))",
		"uint(room.owner) in claims.courses",
		"claims.course == int(room.owner)",
		"!(claims.course != int(room.owner))",
		"claims.course <= int(room.owner) && claims.course >= int(room.owner)",
		"claims.by.id == int(room.owner)",
		"claims.course in [int(room.owner)]",
		"int(string(claims.course)) == int(room.owner)",
		"int(claims.course) == int(room.owner)",
		"[claims.course] == [int(room.owner)]",
		"{'id': claims.course} == {'id': int(room.owner)}",
		"{int(room.owner): true}[claims.course]",
		"claims.course - int(room.owner) == 0",
		"claims.course in [1234567890123456789] && room.owner == '1234567890123456789'",
	} {
		if !admits(t, condition, own, claims) {
			t.Errorf("%s does not open %s", condition, own)
		}
		if admits(t, condition, neighbour, claims) {
			t.Errorf("%s opens %s", condition, neighbour)
		}
	}
}

// TestDoubles_CannotStandForALargeInteger: there is no way over a double from
// one integer to its neighbour.
func TestDoubles_CannotStandForALargeInteger(t *testing.T) {
	claims := claimsOf(t, `{"courses":[9007199254740993],"course":9007199254740993,"part":2.5,"one":1.5,"big":4503599627370495.5,"max":9007199254740991}`)
	for _, condition := range []string{
		"double(room.owner) in claims.courses",
		"double(room.owner) == claims.course",
		"claims.course == double(room.owner)",
		"claims.course in [double(room.owner)]",
		"[claims.course] == [double(room.owner)]",
		"double(claims.course) == double(room.owner)",
		"double(9007199254740990) + 4.0 == claims.course",
		"double(4503599627370496) * 2.0 == claims.course",
		"claims.course == double(9007199254740991) - double(-1)",
		"double(4503599627370496) / 0.5 == claims.course",
		"claims.big + claims.big + 1.0 == claims.course",
		"int(claims.part) == 2",
		"uint(claims.part) == 2u",
		"{2: true}[claims.part]",
		"claims.part == 2",
		"1.0 / 0.0 > 5.0",
		"!(0.0 / 0.0 == 5.0)",
	} {
		if admits(t, condition, "course-9007199254740992", claims) {
			t.Errorf("%s holds", condition)
		}
	}
	for _, condition := range []string{
		"claims.part == 2.5", "claims.part > 2", "claims.part < claims.course", "claims.course > 2.5", "claims.one + claims.one == 3", "int(3.0) == 3",
		"int(claims.one * 2.0) == 3", "claims.max == double('9007199254740991')",
	} {
		if !admits(t, condition, "course-9007199254740992", claims) {
			t.Errorf("%s does not hold", condition)
		}
	}
}

func TestLargeDoubleLiteral_IsAFault(t *testing.T) {
	for _, condition := range []string{"claims.x == 9007199254740992.0", "claims.x in [1.0, 1e300]", "claims.x.exists(y, y < -1e16)"} {
		got := faultsOf(t, one("room: a", "join: "+condition))
		if !strings.Contains(got, inexactDouble) || !strings.HasPrefix(got, "policy.yaml:3:") {
			t.Errorf("%s: %s", condition, got)
		}
	}
	if got := faultsOf(t, one("room: a", "join: claims.x == double('9007199254740993')")); !strings.Contains(got, inexactDouble) {
		t.Errorf("%s", got)
	}
}

// TestInexactNumber_HoldsForNobody: what needs the value of a number that is
// not exact cannot be evaluated; what does not need it is decided as before.
func TestInexactNumber_HoldsForNobody(t *testing.T) {
	claims := claimsOf(t, `{"id":9223372036854775808,"ids":[5,9223372036854775808],"deep":{"id":1e30},"near":9007199254740993.5,"tiny":1e-400}`)
	for condition, want := range map[string]bool{
		"claims.id == 9223372036854775808u": false,
		"claims.id != 5":                    false,
		"!(claims.id == 5)":                 false,
		"claims.id > 5":                     false,
		"int(claims.id) > 5":                false,
		"string(claims.id) != ''":           false,
		"type(claims.id) != int":            false,
		"claims.id in [5]":                  false,
		"!(claims.id in [5])":               false,
		"claims.id == claims.id":            false,
		"claims.deep.id == claims.deep.id":  false,
		"claims.ids == claims.ids":          false,
		"claims.ids == [5, 7]":              false,
		"[5, 7] == claims.ids":              false,
		"[claims.ids] == [[5, 7]]":          false,
		"claims.deep == {'id': 7}":          false,
		"{'id': 7} == claims.deep":          false,
		"claims == {'id': 7, 'ids': [5, 7], 'deep': {'id': 7}, 'near': 7, 'tiny': 7}": false,
		"(true ? claims.id : 5) != 5":           false,
		"dyn(claims.ids)[1] != 5":               false,
		"[claims.id] != [5]":                    false,
		"claims.ids.filter(i, i != 5) != []":    false,
		"{5: true}[claims.id] || true == false": false,
		"claims.ids[1] != 5":                    false,
		"claims.ids.all(i, i != 7)":             false,
		"claims.near == 9007199254740994":       false,
		"claims.near != 9007199254740994":       false,
		"claims.tiny == 0":                      false,
		"9223372036854775807 in claims.ids":     false,
		"9223372036854775808u in claims.ids":    false,
		"5 in claims.ids":                       true,
		"claims.ids[0] == 5":                    true,
		"claims.ids.exists(i, i == 5)":          true,
		"has(claims.id) && size(claims) == 5":   true,
		"claims.id == 5 || room.owner == 'ann'": true,
	} {
		if got := admits(t, condition, "course-ann", claims); got != want {
			t.Errorf("%s holds: %v", condition, got)
		}
	}
	steps := parse(t, one("room: a", "join: claims.id == 5")).Explain(who("a", claims))
	if len(steps) != 2 || !strings.Contains(steps[1].Text, inexactClaim) {
		t.Errorf("%+v", steps)
	}
}

func TestExamples_HaveExactNumbers(t *testing.T) {
	for number, room := range map[string]string{
		"1234567890123456789": "course-1234567890123456789", "9007199254740993": "course-9007199254740993", "9223372036854775807": "course-9223372036854775807",
		"1.0": "course-1", "1e3": "course-1000", "0x10": "course-16", "+5": "course-5", "1_000": "course-1000", "9007199254740993.0": "course-9007199254740993",
	} {
		f := parse(t, one("room: 'course-{owner}'", "join: int(room.owner) in claims.courses", "examples:",
			fmt.Sprintf("  - {claims: {courses: [%s]}, room: %s, expect: {join: true}}", number, room)))
		for _, o := range f.Test() {
			if !o.OK {
				t.Errorf("%s: %+v", number, o)
			}
		}
	}
	for _, number := range []string{"1234567890123456789", "9223372036854775808", "18446744073709551616", "1234567890123456700.5", "1e400"} {
		f := parse(t, one("room: 'course-{owner}'", "join: int(room.owner) in claims.courses || '"+number+"' in claims.courses", "examples:",
			fmt.Sprintf("  - {claims: {courses: [%s]}, room: course-1234567890123456701, expect: {join: false}}", number)))
		for _, o := range f.Test() {
			if !o.OK {
				t.Errorf("%s: %+v", number, o)
			}
		}
	}
}

// TestEveryInteger_ComesOutEqualOrNotAtAll compares conditions on random
// integers around the places where numbers lose digits with what they mean.
func TestEveryInteger_ComesOutEqualOrNotAtAll(t *testing.T) {
	f := parse(t, one("room: 'course-{owner}'", "join: int(room.owner) in claims.courses", "publish: claims.courses[0] == double(room.owner)",
		"data: claims.courses.exists(c, string(c) == room.owner)", "moderate: claims.courses[0] < int(room.owner)"))
	r := rand.New(rand.NewPCG(7, 8))
	for range 20_000 {
		claim := int64(1)<<(50+r.IntN(14)) + r.Int64N(9) - 4
		if r.IntN(2) == 0 {
			claim = -claim
		}
		asked := claim + r.Int64N(5) - 2
		room := "course-" + strings.Replace(strconv.FormatInt(asked, 10), "-", "_", 1)
		d, err := f.Decide(who(room, claimsOf(t, fmt.Sprintf(`{"courses":[%d]}`, claim))))
		if asked < 0 { // '-' ends a segment: such a room has no number
			if err == nil {
				t.Fatalf("%d opened the room of %d", claim, asked)
			}
			continue
		}
		if (err == nil) != (asked == claim) {
			t.Fatalf("claim %d, room %d: %v", claim, asked, err)
		}
		if d.Grants.Publish && asked != claim || d.Moderate && claim >= asked {
			t.Fatalf("claim %d, room %d: %+v", claim, asked, d)
		}
	}
}
