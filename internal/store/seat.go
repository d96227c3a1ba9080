package store

import (
	"context"

	"stagedoor"
)

var (
	errFull  = stagedoor.Refuse(stagedoor.RoomFull, "every seat of this room is taken")
	errMany  = stagedoor.Refuse(stagedoor.RoomFull, "you have as many places in this room as one caller can have")
	errAgain = stagedoor.Refuse(stagedoor.AlreadyInRoom, "you are in this room already, on another device or in another window")
)

// maxDevices is how many places of a capped room one principal can have: with
// a device's name for each, one caller could take them all.
const maxDevices = 8

// selectTaken counts a room's taken seats, and whether one of them is an
// identity's own. Several sessions of one identity are one connection, the
// last of them; copies, "<identity>#<publish>", are about to be put out.
const selectTaken = `SELECT COUNT(*), COALESCE(SUM(CASE WHEN identity = $2 THEN 1 ELSE 0 END), 0) FROM (
	SELECT identity FROM presence WHERE room = $1 AND left_at = 0 AND standard AND identity NOT LIKE '%#%'
	UNION SELECT identity FROM seats WHERE room = $1 AND until > $3) AS taken`

// selectAlone counts a principal's sessions in a room.
const selectAlone = `SELECT COUNT(*) FROM presence p JOIN mints m ON m.room = p.room AND m.identity = p.identity
	WHERE p.room = $1 AND p.left_at = 0 AND m.issuer = $2 AND m.subject = $3`

// selectOwnPlaces counts a principal's places in a room but for one identity's.
const selectOwnPlaces = `SELECT COUNT(*) FROM mints m WHERE m.room = $1 AND m.issuer = $4 AND m.subject = $5 AND m.identity <> $2
	AND (EXISTS (SELECT 1 FROM presence p WHERE p.room = m.room AND p.identity = m.identity AND p.left_at = 0)
		OR EXISTS (SELECT 1 FROM seats s WHERE s.room = m.room AND s.identity = m.identity AND s.until > $3))`

// plainlyFull refuses where every seat is taken, without waiting for the
// turn to write: many ask for a full room. Errors: RoomFull.
func (s *Store) plainlyFull(ctx context.Context, m stagedoor.Mint) error {
	var taken, own int64
	_, err := s.reads.row(ctx, selectTaken, []any{string(m.Room), string(m.Identity), millis(m.At)}, &taken, &own)
	if err == nil && own == 0 && taken >= int64(m.Seats) {
		return errFull
	}
	return wrap("count a room's seats", err)
}

// takeSeat counts who is in a capped room and whose seat is held there, and
// holds one for the mint, all in one transaction. Who is in the room or holds
// a seat keeps it. Errors: RoomFull, AlreadyInRoom.
func (s *Store) takeSeat(t tx, m stagedoor.Mint) error {
	now := millis(m.At)
	if m.Alone {
		var present int64
		_, err := t.row(selectAlone,
			[]any{string(m.Room), m.Principal.Issuer, m.Principal.Subject}, &present)
		if err != nil {
			return err
		}
		if present > 0 {
			return errAgain
		}
	}
	if m.Seats <= 0 {
		return nil
	}
	var taken, own int64
	if _, err := t.row(selectTaken, []any{string(m.Room), string(m.Identity), now}, &taken, &own); err != nil {
		return err
	}
	if own == 0 && taken >= int64(m.Seats) {
		return errFull
	}
	var mine int64
	if _, err := t.row(selectOwnPlaces,
		[]any{string(m.Room), string(m.Identity), now, m.Principal.Issuer, m.Principal.Subject}, &mine); err != nil {
		return err
	}
	if own == 0 && mine >= maxDevices {
		return errMany
	}
	_, err := t.exec(`INSERT INTO seats (room, identity, until) VALUES ($1, $2, $3)
		ON CONFLICT (room, identity) DO UPDATE SET until = excluded.until WHERE excluded.until > seats.until`,
		string(m.Room), string(m.Identity), millis(m.At.Add(m.SeatFor)))
	return err
}

// Surplus reports whether a session came into a room that was full: whether
// as many other participants, or more, came before it.
func (s *Store) Surplus(ctx context.Context, room stagedoor.Room, sid string, seats int) (bool, error) {
	const doing = "count a room's participants"
	if seats <= 0 {
		return false, nil
	}
	// Hardly ever is there one too many, and every arrival asks.
	var present int64
	_, err := s.reads.row(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM presence WHERE room = $1 AND left_at = 0 LIMIT $2) AS some", []any{string(room), seats + 1}, &present)
	if err != nil || present <= int64(seats) {
		return false, wrap(doing, err)
	}
	var before int64
	_, err = s.reads.row(ctx, `SELECT COUNT(DISTINCT p.identity) FROM presence p JOIN presence own ON own.room = p.room AND own.sid = $2
		WHERE p.room = $1 AND p.left_at = 0 AND p.standard AND p.identity NOT LIKE '%#%' AND p.identity <> own.identity
			AND (p.joined_at < own.joined_at OR p.joined_at = own.joined_at AND p.sid < own.sid)`, []any{string(room), sid}, &before)
	return before >= int64(seats), wrap(doing, err)
}
