// Package evasion tries to stay in a call against a ban or beyond a session's
// end, with clients that connect in ways no official SDK does, against the
// built program and a real LiveKit server.
package evasion
