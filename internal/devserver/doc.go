// Package devserver has what `stagedoor dev` runs beside Stagedoor itself: a
// LiveKit server, a small Stripe, and callers with fixed tokens. Nothing of it
// runs in production.
package devserver
