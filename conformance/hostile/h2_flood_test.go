package hostile

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// flood is what an attacker says on one connection, over and over, and how
// often in all. It goes on over new connections when one is ended.
type flood struct {
	times int
	say   func(s *streams, i int) error
	// deaf attackers do not read what the door says.
	deaf bool
}

// next is the client's stream of that number.
func next(i int) uint32 { return uint32(2*i + 1) }

// floods are the known ways to make a server work for frames that cost nothing.
//
// SPEC: RFC 9113 §10.5; CVE-2019-9512 to 9518, CVE-2023-44487, CVE-2023-45288.
func floods() map[string]flood {
	ping := func(s *streams, _ int) error { return s.WritePing(false, [8]byte{}) }
	settings := func(s *streams, i int) error {
		return s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 65536)})
	}
	return map[string]flood{
		"rapid reset": {times: 10_000, say: func(s *streams, i int) error {
			if err := s.send(next(i), joinFields("mallory"), ""); err != nil {
				return err
			}
			return s.WriteRSTStream(next(i), http2.ErrCodeCancel)
		}},
		"rapid reset after the body": {times: 5_000, say: func(s *streams, i int) error {
			if err := s.send(next(i), joinFields("mallory"), body); err != nil {
				return err
			}
			return s.WriteRSTStream(next(i), http2.ErrCodeCancel)
		}},
		"resets that the server makes": {times: 10_000, say: func(s *streams, i int) error {
			if err := s.send(next(i), joinFields("mallory"), ""); err != nil {
				return err
			}
			return s.WriteWindowUpdate(next(i), 0)
		}},
		"pings": {times: 200_000, say: ping}, "unread pings": {times: 200_000, say: ping, deaf: true},
		"settings": {times: 100_000, say: settings}, "unread settings": {times: 100_000, say: settings, deaf: true},
		"priorities": {times: 200_000, say: func(s *streams, i int) error {
			return s.WritePriority(next(i), http2.PriorityParam{StreamDep: next(i + 7), Weight: 255, Exclusive: i%2 == 0})
		}},
		"window updates": {times: 200_000, say: func(s *streams, _ int) error {
			return s.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 1})
		}, deaf: true},
		"empty data": {times: 100_000, say: func(s *streams, i int) error {
			if i == 0 {
				if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.encode(joinFields("mallory")), EndHeaders: true}); err != nil {
					return err
				}
			}
			return s.WriteData(1, false, nil)
		}},
		"padding alone": {times: 20_000, say: func(s *streams, i int) error {
			if i == 0 {
				if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.encode(joinFields("mallory")), EndHeaders: true}); err != nil {
					return err
				}
			}
			return s.WriteDataPadded(1, false, nil, make([]byte, 255))
		}},
		"unknown frames": {times: 50_000, say: func(s *streams, _ int) error { return s.WriteRawFrame(0xbb, 0, 0, make([]byte, 100)) }},
		"empty continuations": {times: 100_000, say: func(s *streams, i int) error {
			if i == 0 {
				return s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.encode(joinFields("mallory"))})
			}
			return s.WriteContinuation(1, false, nil)
		}},
		"goaways":        {times: 20_000, say: func(s *streams, _ int) error { return s.WriteGoAway(1<<31-1, http2.ErrCodeNo, make([]byte, 1000)) }},
		"empty headers":  {times: 10_000, say: func(s *streams, i int) error { return s.send(next(i), nil, "") }},
		"unread answers": {times: 5_000, say: func(s *streams, i int) error { return joinOrRead(s, next(i)) }, deaf: true},
	}
}

func TestFloodsWhileCallersJoin(t *testing.T) {
	t.Parallel()
	for _, group := range [][]string{
		{"rapid reset", "rapid reset after the body", "resets that the server makes", "empty headers"}, {"pings", "unread pings", "settings", "unread settings", "priorities", "goaways"},
		{"window updates", "empty data", "padding alone", "unknown frames", "unread answers", "empty continuations"},
	} {
		d := open(t, own{tls: true})
		d.meanwhile(t, func() {
			var all sync.WaitGroup
			for _, name := range group {
				all.Go(func() { d.flood(t, name, floods()[name]) })
			}
			all.Wait()
		})
		d.recovered(t)
	}
}

// flood sends it all, over as many connections as that takes.
func (d *door) flood(t *testing.T, name string, f flood) {
	connections := 0
	for sent := 0; sent < f.times; connections++ {
		s, err := d.streams(f.deaf)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		// A door that no longer reads is as good as one that hangs up.
		_ = s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		s.out.held = true
		i := 0
		for ; sent < f.times; i++ {
			sent++
			if err := f.say(s, i); err != nil {
				break
			}
		}
		if f.deaf {
			go s.listen()
		}
		if !s.finish() {
			t.Errorf("%s: the door neither reads nor hangs up", name)
		}
		_ = s.conn.Close()
		s.heard.mu.Lock()
		for id, text := range s.heard.body {
			if s.heard.ended[id] && s.heard.status[id] == 200 && granted([]byte(text), "mallory") != nil {
				t.Errorf("%s: stream %d: %s", name, id, text)
			}
		}
		s.heard.mu.Unlock()
		if connections > f.times/100+10 {
			t.Logf("%s: %d connections for %d", name, connections, sent)
			return
		}
	}
	t.Logf("%s: %d over %d connections", name, f.times, connections)
}

// headerFloods are header blocks that do not end, or end as more than came.
func headerFloods() map[string]func(s *streams) (int, error) {
	const name = "\x00\x03x-a\x7f\xa1\x3d" // a new field with a value of 8,000 bytes
	continued := func(piece string, most int) func(*streams) (int, error) {
		return func(s *streams) (int, error) {
			sent := 0
			s.out.held = true
			err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.encode(joinFields("mallory")), EndStream: true})
			for ; err == nil && sent < most; sent += len(piece) + 9 {
				err = s.WriteContinuation(1, false, []byte(piece))
			}
			return sent, err
		}
	}
	return map[string]func(s *streams) (int, error){
		"continuations":         continued(name+strings.Repeat("a", 8000), 64<<20),
		"small continuations":   continued("\x00\x01x\x01y", 64<<20),
		"a half continuation":   continued(name, 16<<20),
		"indexed continuations": continued(strings.Repeat("\x82", 16000), 64<<20),
	}
}

func TestHeaderBlocksThatNeverEndAreCutOff(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	d.meanwhile(t, func() {
		var all sync.WaitGroup
		for name, say := range headerFloods() {
			for range 5 {
				all.Go(func() {
					s, err := d.streams(false)
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = s.conn.Close() }()
					sent, err := say(s)
					if err == nil || sent > takenMost {
						t.Errorf("%s: %d bytes were taken", name, sent)
					}
					if !s.await(cutWithin, func(h *heard) bool { return h.gone }) || len(s.heard.body) > 0 && s.heard.status[1] != 431 {
						t.Errorf("%s: %v", name, s.heard.status)
					}
				})
			}
		}
		all.Wait()
	})
	d.recovered(t)
}

// A small block makes a large list: one field kept in the table and named
// thousands of times.
func TestHeaderBombIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	d.meanwhile(t, func() {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				s, err := d.streams(false)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = s.conn.Close() }()
				for id := uint32(1); id < 40; id += 2 {
					block := s.encode(append(joinFields("mallory"), [2]string{"x-a", strings.Repeat("a", 3900)}))
					block = append(block, strings.Repeat("\xbe", 8000)...)
					if s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true}) != nil {
						break
					}
				}
				if !s.await(cutWithin, func(h *heard) bool { return h.over(39) || h.over(1) }) {
					t.Error("nothing comes")
				}
				s.heard.mu.Lock()
				defer s.heard.mu.Unlock()
				for id, status := range s.heard.status {
					if status != 431 {
						t.Errorf("stream %d: %d", id, status)
					}
				}
			})
		}
		all.Wait()
	})
	d.recovered(t)
}

// h2c is not spoken, neither known before nor by upgrade: a request that says
// so is one of HTTP/1.1 or none.
func TestPlainHTTP2IsNotSpoken(t *testing.T) {
	t.Parallel()
	d := open(t, own{})
	for name, first := range map[string]string{
		"known before": http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "after an upgrade": joinHead("alice") + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 16\r\n\r\n" + body + http2.ClientPreface,
	} {
		conn := d.dial(t)
		var block strings.Builder
		s := &streams{Framer: http2.NewFramer(&block, nil)}
		s.encoder = newEncoder(s)
		if err := s.send(1, joinFields("mallory"), body); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, first+block.String()) }()
		all, closed := answers(t, conn, 10, cutWithin)
		if !closed {
			t.Errorf("%s: the connection stays", name)
		}
		var statuses []int
		for _, a := range all {
			statuses = append(statuses, a.status)
			if a.status == 200 && granted([]byte(a.body), "alice") != nil {
				t.Errorf("%s: %s", name, a.body)
			}
		}
		want := map[string]string{"known before": "[404]", "after an upgrade": "[200 404]"}[name]
		if fmt.Sprint(statuses) != want {
			t.Errorf("%s: %v, want %s", name, statuses, want)
		}
	}
	d.recovered(t)
}
