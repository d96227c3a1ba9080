package hostile

import (
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// perConnection is how many streams of one connection the door serves at once.
const perConnection = 250

// each opens connections, and says something on every stream of each.
func (d *door) each(t *testing.T, connections int, say func(s *streams, id uint32) error, settings ...http2.Setting) []*streams {
	t.Helper()
	var opened []*streams
	for range connections {
		s := d.mustStreams(t, settings...)
		for i := range uint32(perConnection) {
			if err := say(s, 2*i+1); err != nil {
				t.Fatal(err)
			}
		}
		opened = append(opened, s)
	}
	return opened
}

// Streams that are opened and left: the body never comes, or comes in bits.
func TestStreamsLeftOpenAreCutWhileCallersJoin(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	d.meanwhile(t, func() {
		opened := d.each(t, many/perConnection, func(s *streams, id uint32) error {
			err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.encode(joinFields("mallory")), EndHeaders: true})
			if err == nil && id%4 == 1 {
				err = s.WriteData(id, false, []byte("{"))
			}
			return err
		})
		for _, s := range opened {
			if !s.await(cutWithin, func(h *heard) bool { return len(h.status) == perConnection || h.gone }) {
				t.Error("streams are held for more than ", cutWithin)
			}
			s.heard.mu.Lock()
			for id, status := range s.heard.status {
				if status != 400 {
					t.Errorf("stream %d: %d", id, status)
				}
				mustHoldNoToken(t, "half a request", s.heard.body[id])
			}
			s.heard.mu.Unlock()
			_ = s.conn.Close()
		}
	})
	d.recovered(t)
}

// More streams than the door serves at once are refused, and the others served.
func TestTooManyStreamsAreRefused(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	opened := d.each(t, 1, func(s *streams, id uint32) error {
		return s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.encode(joinFields("alice")), EndHeaders: true})
	})
	s := opened[0]
	const one = 2*perConnection + 1
	if err := s.send(one, joinFields("mallory"), ""); err != nil {
		t.Fatal(err)
	}
	if !s.await(cutWithin, func(h *heard) bool { _, reset := h.resets[one]; return reset }) {
		t.Errorf("one too many: %d", s.heard.status[one])
	}
	if err := s.WriteData(1, true, []byte(body)); err != nil {
		t.Fatal(err)
	}
	if !s.await(cutWithin, func(h *heard) bool { return h.ended[1] }) || granted([]byte(s.heard.body[1]), "alice") != nil {
		t.Errorf("the first: %d %s", s.heard.status[1], s.heard.body[1])
	}
	_ = s.conn.Close()
	d.recovered(t)
}

// joinOrRead asks for a large file mostly: so many joins at once would put the
// database to the test.
func joinOrRead(s *streams, id uint32) error {
	if id%20 == 1 {
		return s.send(id, joinFields("mallory"), body)
	}
	return s.send(id, fields{{":method", "GET"}, {":scheme", "https"}, {":authority", "door"}, {":path", "/openapi.yaml"}}, "")
}

// Answers that may not be sent are not kept: the window stays shut, or opens
// a byte at a time.
func TestAnswersThatAreNotTakenAreDropped(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	d.meanwhile(t, func() {
		opened := d.each(t, many/perConnection, joinOrRead, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		var all sync.WaitGroup
		for _, s := range opened {
			all.Go(func() {
				for id := uint32(1); id < 50; id += 2 {
					_ = s.WriteWindowUpdate(id, 1)
				}
				if !s.await(2*cutWithin, func(h *heard) bool { return len(h.resets) == perConnection || h.gone }) {
					t.Errorf("%d answers are still kept", perConnection-len(s.heard.resets))
				}
				_ = s.conn.Close()
			})
		}
		all.Wait()
	})
	d.recovered(t)
}
