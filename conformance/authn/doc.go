// Package authn holds no production code: its tests run Project Wycheproof's
// JOSE vectors against stagedoor/internal/authn.
package authn
