//go:build !race

package authn

// underRace is whether the race detector runs, under which fewer tries are made.
const underRace = false
