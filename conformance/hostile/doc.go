// Package hostile attacks the built door over real sockets: slow, endless,
// malformed and flooding clients, while real callers join. Every test has a
// door of its own, so that what an attack leaves behind can be measured.
package hostile
