package stagedoor

// Room is the name of a LiveKit room: text that passed CheckText, compared
// byte by byte as LiveKit does.
type Room string

// ParseRoom checks s, which must be in NFC, as a room name.
// Errors: InvalidRoom.
func ParseRoom(s string) (Room, error) {
	if err := CheckText(s); err != nil {
		return "", Refuse(InvalidRoom, "room "+err.Error())
	}
	return Room(s), nil
}

// ParseName checks s, which must be in NFC, as a display name.
// Errors: InvalidUsername.
func ParseName(s string) (string, error) {
	if err := CheckText(s); err != nil {
		return "", Refuse(InvalidUsername, "username "+err.Error())
	}
	return s, nil
}
