// Package client embeds the browser helper, so that the door can serve it.
package client

import _ "embed"

// Helper is livekit-join.js as it is.
//
//go:embed livekit-join.js
var Helper []byte
