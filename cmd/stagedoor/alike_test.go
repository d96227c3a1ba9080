package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
	"stagedoor/internal/authn"
	"stagedoor/internal/httpapi"
)

// published answers every question to an issuer with one key set.
type published []byte

// RoundTrip answers.
func (p published) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, Body: io.NopCloser(bytes.NewReader(p))}, nil
}

// TestRefusalsAreAlikeToTheByte: over HTTP a wrong signature, a wrong key and
// an unknown key id, of an issuer's and of a shared secret's, differ in nothing
// but the request's id. That they take as long is TestRefusalsAreAlike's.
func TestRefusalsAreAlikeToTheByte(t *testing.T) {
	genuine, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("k3J9-test-secret-of-more-than-32-bytes-x7")
	api := doorOfIssuer(t, genuine, secret)
	claims := jwt.MapClaims{"sub": "ann", "iss": "https://issuer.example", "aud": "door", "exp": time.Now().Add(time.Hour).Unix()}
	expired := jwt.MapClaims{"sub": "ann", "iss": "https://issuer.example", "aud": "door", "exp": 1}
	sign := func(method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, claims)
		token.Header["kid"] = kid
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	spoil := func(token string) string { // one character inside the signature
		at := len(token) - 10
		return token[:at] + strings.Map(another, token[at:at+1]) + token[at+1:]
	}
	noIssuer := jwt.MapClaims{"sub": "ann", "exp": claims["exp"]}
	tokens := map[string]string{
		"wrong signature":           spoil(sign(jwt.SigningMethodES256, genuine, "k1", claims)),
		"wrong key":                 sign(jwt.SigningMethodES256, stranger, "k1", claims),
		"unknown key id":            sign(jwt.SigningMethodES256, stranger, "k2", claims),
		"expired, wrong key":        sign(jwt.SigningMethodES256, stranger, "k1", expired),
		"secret, wrong signature":   spoil(sign(jwt.SigningMethodHS256, secret, "k1", noIssuer)),
		"secret, wrong secret":      sign(jwt.SigningMethodHS256, append([]byte("x"), secret...), "k1", noIssuer),
		"secret, for the issuer":    sign(jwt.SigningMethodHS256, secret, "k1", claims),
		"an issuer that nobody has": sign(jwt.SigningMethodES256, stranger, "k1", jwt.MapClaims{"sub": "ann", "iss": "https://x.example"}),
	}
	answers := map[string][]string{}
	for name, token := range tokens {
		r := httptest.NewRequest(http.MethodPost, "/api/join", strings.NewReader(`{"room":"r"}`))
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, r)
		id := rec.Header().Get("X-Request-Id")
		answer := fmt.Sprint(rec.Code, rec.Header(), rec.Body)
		if rec.Code != http.StatusUnauthorized || id == "" || strings.Count(answer, id) != 2 {
			t.Fatalf("%s: %s", name, answer)
		}
		answer = strings.ReplaceAll(answer, id, "ID")
		answers[answer] = append(answers[answer], name)
	}
	if len(answers) != 1 {
		t.Errorf("the refusals can be told apart: %v", answers)
	}
}

// another is another character of base64url.
func another(r rune) rune {
	if r == 'A' {
		return 'B'
	}
	return 'A'
}

// doorOf is a door for one issuer with one key, and one shared secret.
func doorOfIssuer(t *testing.T, genuine *ecdsa.PrivateKey, secret []byte) http.Handler {
	t.Helper()
	point, err := genuine.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	keys, _ := json.Marshal(map[string]any{"keys": []any{map[string]any{"kty": "EC", "crv": "P-256", "kid": "k1", "x": b64(point[1:33]), "y": b64(point[33:])}}})
	authenticator, err := authn.New(authn.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler), Transport: published(keys), Issuers: []authn.Issuer{
		{ID: "https://issuer.example", Remote: true, JWKSURL: "https://issuer.example/keys", Audiences: []string{"door"}}, {Secrets: []stagedoor.Secret{stagedoor.NewSecret(string(secret))}}}})
	if err != nil {
		t.Fatal(err)
	}
	go authenticator.Run(t.Context())
	for deadline := time.Now().Add(10 * time.Second); len(authenticator.Degraded()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(authenticator.Degraded())
		}
	}
	return httpapi.New(httpapi.Options{Door: &stagedoor.Door{Authenticator: authenticator}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
}
