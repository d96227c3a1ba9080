// Package livekit holds no production code: its tests judge the tokens that
// stagedoor/internal/livekit signs by LiveKit's official library and by a real
// LiveKit server.
package livekit
