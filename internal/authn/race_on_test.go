//go:build race

package authn

// underRace is whether the race detector runs, which slows everything down.
const underRace = true
