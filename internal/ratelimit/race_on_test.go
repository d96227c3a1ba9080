//go:build race

package ratelimit

// underRace is whether the race detector runs, under which floods are shorter.
const underRace = true
