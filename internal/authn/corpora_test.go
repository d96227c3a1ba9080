package authn

import (
	"bufio"
	"encoding/base64"
	"os"
	"strings"
	"testing"

	"stagedoor"
)

// A token's header and payload are JSON as well: what a parser must reject is
// rejected in both, though the signature holds.
func TestJSONThatMustBeRejectedIsNoToken(t *testing.T) {
	a := newAuth(t, newClock(), secretIssuer())
	file, err := os.Open("../httpapi/testdata/jsontestsuite.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	const header, rest = `{"alg":"HS256"`, `{"sub":"ann","exp":1795400000`
	rejected, accepted := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, coded, _ := strings.Cut(lines.Text(), " ")
		raw64, err := base64.StdEncoding.DecodeString(coded)
		if strings.HasPrefix(name, "#") || err != nil || name == "y_object_duplicated_key" || name == "y_object_duplicated_key_and_value" {
			continue
		}
		text := string(raw64)
		tokens := []string{raw(header+`,"x":`+text+`}`, rest+`}`), raw(header+`}`, rest+`,"x":`+text+`}`)}
		alone := []string{raw(text, rest+`}`), raw(header+`}`, text)}
		switch name[:2] {
		case "y_":
			accepted++
			for _, token := range tokens {
				mustAccept(t, a, token)
			}
		case "n_":
			rejected++
			for _, token := range tokens {
				mustRefuse(t, a, token, stagedoor.InvalidToken)
			}
		}
		for _, token := range alone {
			mustRefuse(t, a, token, stagedoor.InvalidToken)
		}
	}
	if rejected != 186 || accepted != 93 { // the other two of 188 are longer than a token
		t.Errorf("%d had to be rejected, %d accepted", rejected, accepted)
	}
}
