// Package httpapi holds no production code: its tests hold the door's answers
// and docs/openapi.yaml to each other, and docs/api.md to both.
package httpapi
