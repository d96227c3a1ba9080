//go:build race

package policy

// raceDetector slows everything down.
const raceDetector = true
