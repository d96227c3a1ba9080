package livekit

import (
	"time"

	"stagedoor"
)

// adminTTL is how long a token of the door's own counts: for one call, and
// for a LiveKit server whose clock is somewhat ahead.
const adminTTL = time.Minute

// adminClaims are everything a token of the door's own says. It names no
// participant and cannot join. It is another type than claims, and what
// signs it is not exported, so that a Signer cannot be made to mint one.
type adminClaims struct {
	Issuer    string     `json:"iss"`
	NotBefore int64      `json:"nbf"`
	ExpiresAt int64      `json:"exp"`
	Video     adminGrant `json:"video"`
}

// adminGrant is what one call needs: RoomList, or RoomAdmin of one room.
//
// SPEC: livekit-server pkg/service/auth.go EnsureListPermission and EnsureAdminPermission.
type adminGrant struct {
	RoomList  bool   `json:"roomList,omitempty"`
	RoomAdmin bool   `json:"roomAdmin,omitempty"`
	Room      string `json:"room,omitempty"`
}

// adminToken signs a fresh token for one call. Errors: Internal.
func (s *RoomService) adminToken(grant adminGrant) (stagedoor.Token, error) {
	now := s.Now()
	return seal(s.Secret, adminClaims{
		Issuer:    s.Key,
		NotBefore: now.Add(-backdate).Unix(),
		ExpiresAt: now.Add(adminTTL).Unix(),
		Video:     grant,
	})
}
