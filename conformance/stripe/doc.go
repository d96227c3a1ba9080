// Package stripe holds no production code: its tests hold the Stripe of
// stagedoor dev to Stripe's own description of its API, and drive it with
// Stripe's own client.
package stripe
