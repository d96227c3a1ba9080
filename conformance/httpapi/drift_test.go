package httpapi

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"stagedoor/docs"
)

// TestEveryDriftIsSeen changes the document in one place at a time, as an
// edit of one side alone would, and wants a fault that names it.
func TestEveryDriftIsSeen(t *testing.T) {
	answers := record(t, calls())
	for name, c := range map[string]struct{ old, new, fault string }{
		"a word that is none of OpenAPI's":  {"info:\n", "infos: {}\ninfo:\n", "infos"},
		"another version":                   {"openapi: 3.0.3", "openapi: 3.1.0", "OpenAPI 3.1.0"},
		"an example that breaks its schema": {"ttl: 3600", "ttl: soon", "the document"},
		"an example nobody says":            {"'Unauthorized: the token has expired'", "'Unauthorized: too late'", "no answer says Unauthorized: too late"},
		"a code too few":                    {"        - invalid_username\n", "", "code invalid_username: a kind of the door's"},
		"a code too many":                   {"        - unavailable\n", "        - unavailable\n        - teapot\n", "code teapot"},
		"a reason too few":                  {"billing_unavailable, policy]", "billing_unavailable]", "publishDenied"},
		"a reason too many":                 {"billing_unavailable, policy]", "billing_unavailable, policy, mood]", "reason mood"},
		"a path too many":                   {"paths:\n", "paths:\n  /api/leave:\n    get:\n      responses:\n        default:\n          $ref: '#/components/responses/Refused'\n", "GET /api/leave default"},
		"a path too few":                    {"  /healthz:\n", "  /health:\n", "healthz"},
		"another method":                    {"  /healthz:\n    get:", "  /healthz:\n    post:", "POST /healthz 200"},
		"a status too many": {"        '413':\n", "        '410':\n          $ref: '#/components/responses/BadRequest'\n        '413':\n",
			"POST /api/join 410"},
		"a status too few":       {"        '413':\n          $ref: '#/components/responses/BodyTooLarge'\n", "", "413 body_too_large has to be listed"},
		"another status":         {"        '201':\n", "        '200':\n", "201"},
		"a header too many":      {"        Retry-After:\n", "        Allow:\n          schema:\n            type: string\n        Retry-After:\n", "Allow: in the contract"},
		"a required one":         {"        Retry-After:\n", "        Allow:\n          required: true\n          schema:\n            type: string\n        Retry-After:\n", "no Allow"},
		"a header too few":       {"        Allow:\n          $ref: '#/components/headers/Allow'\n", "", "Allow is not in the contract"},
		"a header's value":       {"enum: [nosniff]", "enum: [sniff]", "X-Content-Type-Options"},
		"a header of redirects":  {"            format: uri\n", "            format: uri\n            maxLength: 8\n", "Location"},
		"a field too many":       {"required: [status]", "required: [status, since]", "since"},
		"a field too few":        {"        ttl:\n", "        ttls:\n", "ttl"},
		"a field's type":         {"        ttl:\n          type: integer\n", "        ttl:\n          type: string\n", "ttl"},
		"a field's pattern":      {"pattern: '^wss?://'", "pattern: '^https://'", "^https://"},
		"a content type":         {"text/javascript:", "text/ecmascript:", "text/javascript"},
		"a body too many":        {"    ToHTTPS:\n", "    ToHTTPS:\n      content:\n        application/json:\n          schema:\n            type: object\n", "Content-Type"},
		"a body too few":         {"            text/javascript:\n              schema:\n                type: string\n", "            {}\n", "a body of"},
		"a path's parameter":     {"  /admin/api/bans/{id}:\n", "  /admin/api/ban/{id}:\n", "DELETE /admin/api/ban/{id} 404"},
		"a member nobody sends":  {"        oldestHint:\n", "        oldest:\n          type: string\n        oldestHint:\n", "member Billing.oldest:"},
		"a line too few":         {"        doing:\n", "        doings:\n", "doing"},
		"another proof":          {"$ref: '#/components/responses/EventRefused'", "$ref: '#/components/responses/Unauthorized'", "WWW-Authenticate"},
		"advice too few":         {"    TooManyGuesses:\n", "    TooMany:\n", "TooManyGuesses"},
		"a public file's header": {"            Cross-Origin-Resource-Policy:\n              $ref: '#/components/headers/CrossOrigin'\n", "", "Cross-Origin-Resource-Policy is not in the contract"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(string(docs.OpenAPI), c.old, c.new, 1)
			if changed == string(docs.OpenAPI) {
				t.Fatalf("nothing to change: %q", c.old)
			}
			faults := faultsOf([]byte(changed), answers)
			if !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, c.fault) }) {
				t.Errorf("no fault names %q: %q", c.fault, faults[:min(len(faults), 3)])
			}
		})
	}
}

// TestEveryCodeAndReasonNeedsItsAnswer takes the answers with one word away:
// the contract's claim of it is then without proof.
func TestEveryCodeAndReasonNeedsItsAnswer(t *testing.T) {
	answers, c := record(t, calls()), mustRead(t)
	shown := make([]map[string]bool, len(answers)) // by each answer alone
	for i, a := range answers {
		c.used = map[string]bool{}
		c.judge(a)
		shown[i] = c.used
	}
	without := func(member, word string) []string {
		c.used = map[string]bool{}
		for i, a := range answers {
			if a.text(member) != word {
				maps.Copy(c.used, shown[i])
			}
		}
		return c.unused()
	}
	for _, code := range enum(c.doc, "ErrorCode") {
		if !slices.Contains(without("code", code), "code "+code+": in the contract, and no answer shows it") {
			t.Errorf("nobody misses %s", code)
		}
	}
	for _, reason := range enum(c.doc, "PublishDenied") {
		if !slices.Contains(without("publishDenied", reason), "reason "+reason+": in the contract, and no answer shows it") {
			t.Errorf("nobody misses %s", reason)
		}
	}
}
