package hostile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// malformed are joins that HTTP/2 forbids, each on a stream of its own.
//
// SPEC: RFC 9113 §8.1.1, §8.2, §8.3; RFC 9110 §8.6.
func malformed() map[string]fields {
	without := func(name string) fields {
		return slices.DeleteFunc(joinFields("mallory"), func(f [2]string) bool { return f[0] == name })
	}
	first := func(f ...[2]string) fields { return append(fields(f), joinFields("mallory")...) }
	with := func(name, value string) fields { return joinFields("mallory", [2]string{name, value}) }
	all := map[string]fields{
		"names in upper case": upperCase(joinFields("mallory")), "one name in upper case": with("X-a", "b"),
		"two :path": first([2]string{":path", "/healthz"}), "two :method": first([2]string{":method", "GET"}), "two :scheme": first([2]string{":scheme", "http"}), "two :authority": first([2]string{":authority", "evil"}),
		"no :path": without(":path"), "no :method": without(":method"), "no :scheme": without(":scheme"),
		"an unknown pseudo-header": first([2]string{":room", "stage"}), "a response's pseudo-header": first([2]string{":status", "200"}), "a pseudo-header afterwards": with(":path", "/api/join"),
		"CONNECT with a path":    append(fields{{":method", "CONNECT"}}, without(":method")...),
		"a websocket by CONNECT": append(fields{{":method", "CONNECT"}, {":protocol", "websocket"}}, without(":method")...),
		"an empty name":          with("", "b"),
		"no method's word":       append(fields{{":method", "PO ST"}}, without(":method")...),
		"a method's line break":  append(fields{{":method", "POST /api/join HTTP/1.1\r\nx: "}}, without(":method")...),
	}
	for _, path := range []string{"", "api/join", "*", "//[::1", "/api/join HTTP/1.1\r\nx: y", "/api/join\x00", "/%zz"} {
		all[fmt.Sprintf(":path %q", path)] = append(fields{{":path", path}}, without(":path")...)
	}
	for _, authority := range []string{"door\r\nx: y", "door\x00"} {
		all[fmt.Sprintf(":authority %q", authority)] = append(fields{{":authority", authority}}, without(":authority")...)
	}
	for _, field := range [][2]string{{"connection", "close"}, {"connection", "authorization"}, {"proxy-connection", "keep-alive"}, {"keep-alive", "timeout=9"}, {"transfer-encoding", "chunked"}, {"upgrade", "h2c"}, {"te", "gzip"}, {"te", "chunked"},
		{"x-a", "b\r\nauthorization: c"}, {"x-a", "b\nc"}, {"x-a", "\x00"}, {"x-a", "\x7f"}, {"x\r\ny", "b"}, {"x:y", "b"}, {"x y", "b"}, {"x\xff", "b"}, {"x\x00", "b"}, {"transfer-encoding\x00", "chunked"},
		{"authorization", "Bearer x"}, {"content-length", "100"}, {"content-length", "15"}, {"content-length", "0"}, {"content-length", "-16"}, {"content-length", "+16"}, {"content-length", "16, 16"}, {"content-length", "x"}, {"content-length", "18446744073709551632"}} {
		all[fmt.Sprintf("%q: %q", field[0], field[1])] = with(field[0], field[1])
	}
	return all
}

func TestMalformedStreamsAreRefused(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	for name, all := range malformed() {
		s := d.mustStreams(t)
		if err := s.send(1, all, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !s.await(cutWithin, func(h *heard) bool { return h.over(1) }) {
			t.Errorf("%s: nothing comes", name)
		}
		s.heard.mu.Lock()
		status, text := s.heard.status[1], s.heard.body[1]
		s.heard.mu.Unlock()
		mustHoldNoToken(t, name, text)
		if status != 0 && (status < 400 || status >= 500) {
			t.Errorf("%s: %d %s", name, status, text)
		}
		_ = s.conn.Close()
	}
	d.recovered(t)
}

// Go's server takes these. They are the caller's own joins, and nothing of the
// door's stands on the authority that a caller names.
func TestOddAuthoritiesChangeNothing(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	s := d.mustStreams(t)
	id := uint32(1)
	for _, odd := range [][2]string{{":authority", "door evil"}, {":authority", "d\xffr"}, {":authority", "door/evil"}, {":authority", "\u202e"}, {":path", "http://evil/api/join"}} {
		all := append(fields{odd}, slices.DeleteFunc(joinFields("alice"), func(f [2]string) bool { return f[0] == odd[0] })...)
		if err := s.send(id, all, body); err != nil {
			t.Fatal(err)
		}
		s.await(cutWithin, func(h *heard) bool { return h.over(id) })
		s.heard.mu.Lock()
		if s.heard.status[id] != 200 || granted([]byte(s.heard.body[id]), "alice") != nil {
			t.Errorf("%q: %d %s", odd, s.heard.status[id], s.heard.body[id])
		}
		s.heard.mu.Unlock()
		id += 2
	}
	_ = s.conn.Close()
	d.recovered(t)
}

// wrongFrames are connections that break off, and what they break off with;
// -1: the connection is served on.
//
// SPEC: RFC 9113 §5.1, §5.3, §5.4, §6.
func wrongFrames() map[string]struct {
	say  func(s *streams) error
	code int
} {
	type entry = struct {
		say  func(s *streams) error
		code int
	}
	settings := func(id http2.SettingID, values ...uint32) func(*streams) error {
		return func(s *streams) error {
			for _, value := range values {
				if err := s.WriteSettings(http2.Setting{ID: id, Val: value}); err != nil {
					return err
				}
			}
			return nil
		}
	}
	raw := func(kind http2.FrameType, flags http2.Flags, stream uint32, payload string) func(*streams) error {
		return func(s *streams) error { return s.WriteRawFrame(kind, flags, stream, []byte(payload)) }
	}
	const served = -1
	return map[string]entry{
		"a window beyond all":           {func(s *streams) error { return s.WriteWindowUpdate(0, 1<<31-1) }, int(http2.ErrCodeFlowControl)},
		"a window of nothing":           {func(s *streams) error { return s.WriteWindowUpdate(0, 0) }, int(http2.ErrCodeProtocol)},
		"a first window beyond all":     {settings(http2.SettingInitialWindowSize, 1<<31), int(http2.ErrCodeFlowControl)},
		"a frame size too small":        {settings(http2.SettingMaxFrameSize, 16383), int(http2.ErrCodeProtocol)},
		"a frame size too large":        {settings(http2.SettingMaxFrameSize, 1<<24), int(http2.ErrCodeProtocol)},
		"push of two":                   {settings(http2.SettingEnablePush, 2), int(http2.ErrCodeProtocol)},
		"a table that comes and goes":   {settings(http2.SettingHeaderTableSize, 0, 1<<31, 0, 4096, 0), served},
		"frame sizes that change":       {settings(http2.SettingMaxFrameSize, 1<<24-1, 16384, 1<<24-1, 16384), served},
		"windows that change":           {settings(http2.SettingInitialWindowSize, 0, 1<<31-1, 0, 65535), served},
		"settings unknown":              {settings(0xffff, 1, 2, 3), served},
		"settings of five bytes":        {raw(http2.FrameSettings, 0, 0, "\x00\x01\x00\x00\x00"), int(http2.ErrCodeFrameSize)},
		"settings of a stream":          {raw(http2.FrameSettings, 0, 1, ""), int(http2.ErrCodeProtocol)},
		"an acknowledgement that talks": {raw(http2.FrameSettings, http2.FlagSettingsAck, 0, "\x00\x01\x00\x00\x00\x00"), int(http2.ErrCodeFrameSize)},
		"a ping of seven bytes":         {raw(http2.FramePing, 0, 0, "1234567"), int(http2.ErrCodeFrameSize)},
		"a ping of a stream":            {raw(http2.FramePing, 0, 1, "12345678"), int(http2.ErrCodeProtocol)},
		"a push":                        {raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02"), int(http2.ErrCodeProtocol)},
		"a continuation of nothing":     {raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, ""), int(http2.ErrCodeProtocol)},
		"data of an idle stream":        {raw(http2.FrameData, 0, 1, "x"), int(http2.ErrCodeProtocol)},
		"data of no stream":             {raw(http2.FrameData, 0, 0, "x"), int(http2.ErrCodeProtocol)},
		"data that is all padding":      {raw(http2.FrameData, http2.FlagDataPadded, 1, "\xff"), int(http2.ErrCodeProtocol)},
		"a reset of an idle stream":     {raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00\x00"), int(http2.ErrCodeProtocol)},
		"headers of an even stream":     {func(s *streams) error { return s.send(2, joinFields("mallory"), body) }, int(http2.ErrCodeProtocol)},
		"headers of no stream":          {raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, "\x82"), int(http2.ErrCodeProtocol)},
		"headers that are no HPACK":     {raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\xff\xff\xff\xff\xff\xff"), int(http2.ErrCodeCompression)},
		"a frame larger than allowed":   {raw(http2.FramePing, 0, 0, strings.Repeat("x", 1<<20+1)), int(http2.ErrCodeFrameSize)},
		"frames unknown":                {raw(0xbb, 0xff, 77, strings.Repeat("x", 1000)), served},
		"goaway of a stream":            {raw(http2.FrameGoAway, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00"), int(http2.ErrCodeProtocol)},
		"goaway that is cut":            {raw(http2.FrameGoAway, 0, 0, "\x00\x00"), int(http2.ErrCodeFrameSize)},
		"a stream that hangs on itself": {raw(http2.FramePriority, 0, 1, "\x00\x00\x00\x01\x10"), served},
		"priority of no stream":         {raw(http2.FramePriority, 0, 0, "\x00\x00\x00\x01\x10"), int(http2.ErrCodeProtocol)},
		"another preface":               {func(s *streams) error { _, err := s.conn.Write([]byte(http2.ClientPreface)); return err }, int(http2.ErrCodeFrameSize)},
		"HTTP/1.1": {func(s *streams) error {
			_, err := s.conn.Write([]byte(joinHead("mallory") + "Content-Length: 16\r\n\r\n" + body))
			return err
		}, int(http2.ErrCodeFrameSize)},
	}
}

func TestWrongFramesEndTheConnection(t *testing.T) {
	t.Parallel()
	d := open(t, own{tls: true})
	for name, wrong := range wrongFrames() {
		t.Run(name, func(t *testing.T) {
			s := d.mustStreams(t)
			if err := wrong.say(s); err != nil {
				t.Fatal(err)
			}
			if wrong.code < 0 {
				s.mustStillServe(t, 3)
			} else if !s.await(cutWithin, func(h *heard) bool { return h.gone || len(h.goAway) > 0 }) {
				t.Error("the connection stays")
			}
			s.heard.mu.Lock()
			defer s.heard.mu.Unlock()
			if wrong.code >= 0 && !slices.Contains(s.heard.goAway, http2.ErrCode(wrong.code)) {
				t.Errorf("ended with %v, want %v", s.heard.goAway, http2.ErrCode(wrong.code))
			}
			for id, status := range s.heard.status {
				if id != 3 {
					t.Errorf("stream %d: %d", id, status)
				}
			}
			_ = s.conn.Close()
		})
	}
	d.recovered(t)
}
