package stagedoor

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "REDACTED"

// Secret is a string that prints, logs and marshals as REDACTED. Reveal is
// the only way to the bytes, so a search for it lists every use. The zero
// value is the empty secret. Safe for concurrent use.
type Secret struct{ value string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{value: s} }

// Reveal returns the bytes themselves.
func (s Secret) Reveal() string { return s.value }

// Len returns the length in bytes.
func (s Secret) Len() int { return len(s.value) }

// Empty reports whether there is no secret.
func (s Secret) Empty() bool { return s.value == "" }

// Format writes REDACTED for every verb: %d, %x and %+v too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns REDACTED.
func (s Secret) String() string { return redacted }

// GoString returns REDACTED.
func (s Secret) GoString() string { return redacted }

// LogValue returns REDACTED.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns REDACTED, for every encoder that is not JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "REDACTED".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Credential is what a caller sent to prove who they are: unverified bytes.
type Credential struct{ Secret }

// NewCredential wraps the bytes after "Bearer ".
func NewCredential(s string) Credential { return Credential{NewSecret(s)} }

// Token is a signed LiveKit access token: whoever holds it may join.
type Token struct{ Secret }

// NewToken wraps a signed token.
func NewToken(s string) Token { return Token{NewSecret(s)} }
