package authn

import (
	"slices"
	"strings"
	"testing"
)

// reason says why a vector ends otherwise than its corpus wants.
type reason string

const (
	// notSpoken: DESIGN.md takes HS256, HS384, HS512, RS256, PS256, ES256,
	// ES384 and EdDSA; fewer algorithms are fewer ways in, and no issuer the
	// door is made for signs with another.
	notSpoken reason = "an algorithm the door does not speak"
	// lenientBase64: the corpus lets a decoder skip characters outside the
	// alphabet; RFC 7515 §2 allows none, and a token must have one spelling.
	lenientBase64 reason = "characters outside the base64url alphabet"
	// contradiction: the corpus calls the same bytes valid under the same key
	// in another vector, so nobody can satisfy both. TestOneSpelling tests
	// what these two were meant to.
	contradiction reason = "byte for byte a vector of the same group that is valid"
)

// deviation is one vector that ends otherwise than its corpus wants.
type deviation struct {
	file           string
	tcID           int
	expected, ours string
	reason         reason
}

// deviations is the whole list. An entry that no longer deviates fails the
// run, and so does one that is lenient: only a contradiction in the corpus may
// end as valid where invalid is wanted.
var deviations = []deviation{
	// RS384 and RS512.
	{signatureFile, 264, "valid", "invalid", notSpoken},
	{signatureFile, 265, "valid", "invalid", notSpoken},
	{signatureFile, 266, "valid", "invalid", notSpoken},
	{signatureFile, 267, "valid", "invalid", notSpoken},
	{signatureFile, 268, "valid", "invalid", notSpoken},
	{signatureFile, 269, "valid", "invalid", notSpoken},
	{signatureFile, 270, "valid", "invalid", notSpoken},
	{signatureFile, 271, "valid", "invalid", notSpoken},
	// PS384 and PS512.
	{signatureFile, 320, "valid", "invalid", notSpoken},
	{signatureFile, 321, "valid", "invalid", notSpoken},
	{signatureFile, 322, "valid", "invalid", notSpoken},
	{signatureFile, 323, "valid", "invalid", notSpoken},
	{signatureFile, 325, "valid", "invalid", notSpoken},
	{signatureFile, 326, "valid", "invalid", notSpoken},
	{signatureFile, 327, "valid", "invalid", notSpoken},
	{signatureFile, 328, "valid", "invalid", notSpoken},
	// RFC 7520 figures: PS384 under a key whose alg is PS256, and ES512.
	{signatureFile, 346, "valid", "invalid", notSpoken},
	{signatureFile, 347, "valid", "invalid", notSpoken},
	{signatureFile, 350, "valid", "invalid", notSpoken},
	{signatureFile, 351, "valid", "invalid", notSpoken},
	// A question mark in the header and in the payload.
	{signatureFile, 372, "valid", "invalid", lenientBase64},
	{signatureFile, 373, "valid", "invalid", lenientBase64},
	// Named for padding that is not in their bytes, which are those of tc 357.
	{signatureFile, 367, "invalid", "valid", contradiction},
	{signatureFile, 370, "invalid", "valid", contradiction},
}

func find(file string, tcID int) (deviation, bool) {
	i := slices.IndexFunc(deviations, func(d deviation) bool { return d.file == file && d.tcID == tcID })
	if i < 0 {
		return deviation{}, false
	}
	return deviations[i], true
}

// explains reports whether the reason is true of the token, so that a vector
// which ends otherwise for some other cause is not excused by it.
func (r reason) explains(g group, token string) bool {
	switch r {
	case notSpoken:
		alg := algorithmOf(token)
		return alg != "" && !slices.Contains(spoken, alg)
	case lenientBase64:
		return strings.ContainsFunc(token, func(c rune) bool { return !strings.ContainsRune(alphabet+".", c) })
	case contradiction:
		return slices.ContainsFunc(g.Tests, func(v vector) bool { return v.Result == "valid" && text(v.JWS) == token })
	}
	return false
}

// TestDeviationsAreStricter keeps a lenient deviation out of the table,
// whatever is said for it, and every entry single.
func TestDeviationsAreStricter(t *testing.T) {
	for i, d := range deviations {
		if d.ours == d.expected || (d.ours == "valid") != (d.reason == contradiction) {
			t.Errorf("%s tc %d: %s instead of %s: %s", d.file, d.tcID, d.ours, d.expected, d.reason)
		}
		if slices.ContainsFunc(deviations[:i], func(e deviation) bool { return e.file == d.file && e.tcID == d.tcID }) {
			t.Errorf("%s tc %d is listed twice", d.file, d.tcID)
		}
	}
}
