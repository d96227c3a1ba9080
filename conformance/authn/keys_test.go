package authn

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"stagedoor"
	"stagedoor/internal/authn"
)

// door says by which of the two ways in a group's keys can reach the verifier.
type door string

const (
	// published: the keys are an issuer's key set.
	published door = "published keys"
	// configured: the keys are the operator's shared secrets.
	configured door = "shared secrets"
)

// asSet returns a JWK or a JWK Set as the document an issuer would publish.
func asSet(t *testing.T, raw json.RawMessage) (document []byte, keys []map[string]any) {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	if set.Keys != nil {
		return raw, set.Keys
	}
	var single map[string]any
	if err := json.Unmarshal(raw, &single); err != nil {
		t.Fatal(err)
	}
	return []byte(`{"keys":[` + string(raw) + `]}`), []map[string]any{single}
}

// secretsOf translates a set of symmetric keys into the operator's list of
// shared secrets. It cannot where the set says what such a list has no words
// for: an asymmetric key beside the secrets, a key that is for encryption, or
// two keys of one id. Such a set could only ever arrive as a document.
func secretsOf(t *testing.T, keys []map[string]any) (secrets []stagedoor.Secret, ok bool) {
	t.Helper()
	ids := map[any]bool{}
	for _, key := range keys {
		alg, _ := key["alg"].(string)
		if key["kty"] != "oct" || !strings.HasPrefix(alg, "HS") || key["use"] != "sig" || ids[key["kid"]] {
			return nil, false
		}
		ids[key["kid"]] = true
		secret, err := base64.RawURLEncoding.DecodeString(key["k"].(string))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, stagedoor.NewSecret(string(secret)))
	}
	return secrets, true
}

// keysOf brings a group's keys to the verifier as they would arrive in
// production. Keys refused at the door are an empty set: nothing verifies.
func keysOf(t *testing.T, g group) (authn.KeySet, door) {
	t.Helper()
	raw := g.Public
	if raw == nil {
		raw = g.Private
	}
	document, keys := asSet(t, raw)
	if g.Public == nil {
		if secrets, ok := secretsOf(t, keys); ok {
			set, err := authn.SecretKeys(secrets...)
			if err != nil {
				return authn.KeySet{}, configured
			}
			return set, configured
		}
	}
	set, err := authn.ParseJWKS(document)
	if err != nil {
		t.Fatalf("%s: not a key set: %v", g.Comment, err)
	}
	return set, published
}

// accepted reports whether the verifier takes the token.
func accepted(set authn.KeySet, token string) (bool, error) {
	j, err := authn.ParseJWS(token)
	if err == nil {
		err = set.Verify(j)
	}
	return err == nil, err
}

// TestSecretsAndPrivateKeysAreNeverPublished gives every private and every
// symmetric key of the corpora to ParseJWKS: an issuer that publishes one has
// lost it, and a symmetric one would turn a public document into a password.
func TestSecretsAndPrivateKeysAreNeverPublished(t *testing.T) {
	groups, vectors := 0, 0
	for _, file := range []string{signatureFile, cryptoFile, keyFile} {
		for _, g := range corpus(t, file) {
			if g.Private == nil {
				continue
			}
			document, keys := asSet(t, g.Private)
			set, err := authn.ParseJWKS(document)
			if err != nil {
				t.Fatalf("%s: %v", g.Comment, err)
			}
			if usable := set.Len(); usable != publicOnly(keys) {
				t.Errorf("%s %s: %d private or symmetric keys are used", file, g.Comment, usable)
			}
			groups++
			for _, v := range g.Tests {
				if v.JWS == nil {
					continue
				}
				if ok, _ := accepted(set, text(v.JWS)); ok {
					t.Errorf("%s tc %d: verified with a published secret", file, v.ID)
				}
				vectors++
			}
		}
	}
	if groups != 56 || vectors != 476 {
		t.Errorf("%d groups and %d vectors", groups, vectors)
	}
}

// publicOnly counts the keys that have no private part: the mixed sets hold one.
func publicOnly(keys []map[string]any) int {
	count := 0
	for _, key := range keys {
		if key["k"] == nil && key["d"] == nil {
			count++
		}
	}
	return count
}

// TestOneBadKeyCostsNoOther puts each unusable key of the corpora beside a
// good one: the good one still verifies, and nothing else does.
func TestOneBadKeyCostsNoOther(t *testing.T) {
	groups := corpus(t, signatureFile)
	good := groups[1] // es256
	goodToken := text(good.Tests[0].JWS)
	if good.Comment != "es256" || good.Tests[0].Result != "valid" {
		t.Fatal("the corpus has another order")
	}
	_, goodKeys := asSet(t, good.Public)
	bad := 0
	for _, file := range []string{signatureFile, cryptoFile, keyFile} {
		for _, g := range corpus(t, file) {
			raw := g.Public
			if raw == nil {
				raw = g.Private
			}
			document, keys := asSet(t, raw)
			alone, err := authn.ParseJWKS(document)
			if err != nil {
				t.Fatal(err)
			}
			if alone.Len() > 0 {
				continue
			}
			bad++
			both, err := json.Marshal(map[string]any{"keys": append(keys, goodKeys...)})
			if err != nil {
				t.Fatal(err)
			}
			set, err := authn.ParseJWKS(both)
			if err != nil {
				t.Fatalf("%s %s: %v", file, g.Comment, err)
			}
			if ok, err := accepted(set, goodToken); !ok || set.Len() != 1 {
				t.Errorf("%s %s: %d keys beside the good one: %v", file, g.Comment, set.Len()-1, err)
			}
		}
	}
	if bad != 42 {
		t.Errorf("%d sets have no usable key, want 42", bad)
	}
}
