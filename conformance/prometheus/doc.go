// Package prometheus holds no production code: its tests have Debian's
// Prometheus judge the metrics of a real door, and what deploy/ has for it.
package prometheus
