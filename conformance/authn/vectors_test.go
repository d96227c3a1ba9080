package authn

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// The corpora, and how many vectors each has to hold: an empty or a cut one
// would pass every test.
const (
	signatureFile  = "json_web_signature_test.json"
	cryptoFile     = "json_web_crypto_test.json"
	keyFile        = "json_web_key_test.json"
	encryptionFile = "json_web_encryption_test.json"
)

var corpusSizes = map[string]struct{ jws, jwe int }{
	signatureFile:  {jws: 401},
	cryptoFile:     {jws: 49, jwe: 34},
	keyFile:        {jws: 26},
	encryptionFile: {jwe: 139},
}

// vector is one test case: a JWS or a JWE, as the text of its compact
// serialisation or, where the corpus has an object, as that JSON.
type vector struct {
	ID      int             `json:"tcId"`
	Comment string          `json:"comment"`
	Result  string          `json:"result"`
	JWS     json.RawMessage `json:"jws"`
	JWE     json.RawMessage `json:"jwe"`
}

// group is vectors that share keys. Public is absent where the key is symmetric.
type group struct {
	Comment string          `json:"comment"`
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	Tests   []vector        `json:"tests"`
}

// corpus reads one file of vectors and holds it to its size.
func corpus(t *testing.T, file string) []group {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		NumberOfTests int     `json:"numberOfTests"`
		Groups        []group `json:"testGroups"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	jws, jwe, seen := 0, 0, map[int]bool{}
	for _, g := range document.Groups {
		for _, v := range g.Tests {
			if v.Result != "valid" && v.Result != "invalid" || seen[v.ID] {
				t.Fatalf("%s tc %d: result %q, or twice", file, v.ID, v.Result)
			}
			seen[v.ID] = true
			if v.JWS != nil {
				jws++
			}
			if v.JWE != nil {
				jwe++
			}
		}
	}
	if want := corpusSizes[file]; jws != want.jws || jwe != want.jwe || jws+jwe != document.NumberOfTests {
		t.Fatalf("%s holds %d JWS and %d JWE of %d, want %+v", file, jws, jwe, document.NumberOfTests, want)
	}
	return document.Groups
}

// text returns a token as a caller would send it.
func text(raw json.RawMessage) string {
	var compact string
	if json.Unmarshal(raw, &compact) == nil {
		return compact
	}
	return string(raw)
}
