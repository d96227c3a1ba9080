package hostile

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// streams is an HTTP/2 connection on which anything can be said.
type streams struct {
	*http2.Framer
	conn    *tls.Conn
	out     *outlet
	encoder *hpack.Encoder
	block   bytes.Buffer
	heard   heard
}

// outlet hands on what is written; held, a record at a time.
type outlet struct {
	*bufio.Writer
	held bool
}

func (o *outlet) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err == nil && !o.held {
		err = o.Flush()
	}
	return n, err
}

// heard is what the door has said.
type heard struct {
	mu     sync.Mutex
	news   *sync.Cond
	status map[uint32]int
	body   map[uint32]string
	resets map[uint32]http2.ErrCode
	ended  map[uint32]bool
	// goAway is the connection's last word; gone is set when it is closed.
	goAway []http2.ErrCode
	gone   bool
	// ponged is set by the answer to the last ping.
	ponged bool
}

// streams opens a connection with settings of the attacker's. What the door
// says is read unless deaf.
func (d *door) streams(deaf bool, settings ...http2.Setting) (*streams, error) {
	conn, err := d.tryDial("h2")
	if err != nil {
		return nil, err
	}
	s := &streams{conn: conn.(*tls.Conn), out: &outlet{Writer: bufio.NewWriterSize(conn, 16<<10)}}
	s.Framer = http2.NewFramer(s.out, conn)
	s.AllowIllegalWrites, s.AllowIllegalReads = true, true
	s.encoder = newEncoder(s)
	s.heard = heard{status: map[uint32]int{}, body: map[uint32]string{}, resets: map[uint32]http2.ErrCode{}, ended: map[uint32]bool{}}
	s.heard.news = sync.NewCond(&s.heard.mu)
	if _, err = s.out.Write([]byte(http2.ClientPreface)); err == nil {
		err = s.WriteSettings(settings...)
	}
	if err == nil {
		err = s.WriteSettingsAck()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	if !deaf {
		go s.listen()
	}
	return s, nil
}

func (d *door) mustStreams(t *testing.T, settings ...http2.Setting) *streams {
	t.Helper()
	s, err := d.streams(false, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// listen notes what the door says until it closes the connection.
func (s *streams) listen() {
	h := &s.heard
	decoder := hpack.NewDecoder(4096, nil)
	for {
		frame, err := s.ReadFrame()
		h.mu.Lock()
		if err != nil {
			h.gone = true
			h.news.Broadcast()
			h.mu.Unlock()
			return
		}
		id := frame.Header().StreamID
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			fields, _ := decoder.DecodeFull(f.HeaderBlockFragment())
			for _, field := range fields {
				if field.Name == ":status" {
					h.status[id], _ = strconv.Atoi(field.Value)
				}
			}
			h.ended[id] = f.StreamEnded()
		case *http2.DataFrame:
			h.body[id] += string(f.Data())
			h.ended[id] = f.StreamEnded()
		case *http2.RSTStreamFrame:
			h.resets[id] = f.ErrCode
		case *http2.PingFrame:
			h.ponged = h.ponged || f.IsAck() && f.Data == lastPing
		case *http2.GoAwayFrame:
			h.goAway = append(h.goAway, f.ErrCode)
		}
		h.news.Broadcast()
		h.mu.Unlock()
	}
}

// await waits until the door has said what is waited for, or false.
func (s *streams) await(within time.Duration, what func(*heard) bool) bool {
	late := false
	timer := time.AfterFunc(within, func() {
		s.heard.mu.Lock()
		late = true
		s.heard.mu.Unlock()
		s.heard.news.Broadcast()
	})
	defer timer.Stop()
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	for !what(&s.heard) {
		if late || s.heard.gone {
			return what(&s.heard)
		}
		s.heard.news.Wait()
	}
	return true
}

// lastPing is answered when all before it is read.
var lastPing = [8]byte{'t', 'h', 'e', ' ', 'l', 'a', 's', 't'}

// finish waits until the door has read all that was said, or has hung up.
func (s *streams) finish() bool {
	if s.out.Flush() == nil && s.WritePing(false, lastPing) == nil {
		_ = s.out.Flush()
	}
	return s.await(cutWithin, func(h *heard) bool { return h.ponged || h.gone || len(h.goAway) > 0 })
}

// over reports whether nothing more is to come on a stream.
func (h *heard) over(id uint32) bool {
	_, reset := h.resets[id]
	return h.gone || len(h.goAway) > 0 || reset || h.ended[id]
}

// fields are a header block's, in this order.
type fields [][2]string

// joinFields are a correct join's.
func joinFields(subject string, more ...[2]string) fields {
	return append(fields{{":method", "POST"}, {":scheme", "https"}, {":authority", "door"}, {":path", "/api/join"},
		{"authorization", "Bearer " + callerToken(subject)}, {"content-type", "application/json"}}, more...)
}

// encode makes a header block.
func (s *streams) encode(all fields) []byte {
	s.block.Reset()
	for _, field := range all {
		_ = s.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	return bytes.Clone(s.block.Bytes())
}

// send opens a stream with a header block, and a body unless it is empty.
func (s *streams) send(id uint32, all fields, text string) error {
	if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.encode(all), EndHeaders: true, EndStream: text == ""}); err != nil || text == "" {
		return err
	}
	return s.WriteData(id, true, []byte(text))
}

// mustStillServe has another join on the same connection admitted.
func (s *streams) mustStillServe(t *testing.T, id uint32) {
	t.Helper()
	if err := s.send(id, joinFields("alice"), body); err != nil {
		t.Errorf("the connection is closed: %v", err)
		return
	}
	ok := s.await(cutWithin, func(h *heard) bool { return h.ended[id] })
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	if !ok || s.heard.status[id] != 200 || granted([]byte(s.heard.body[id]), "alice") != nil {
		t.Errorf("stream %d: %d %s, %v", id, s.heard.status[id], s.heard.body[id], s.heard.goAway)
	}
}

// upperCase is a field that HPACK carries and HTTP/2 forbids.
func upperCase(all fields) fields {
	for i := range all {
		if !strings.HasPrefix(all[i][0], ":") {
			all[i][0] = strings.ToUpper(all[i][0])
		}
	}
	return all
}

// newEncoder writes into the connection's block.
func newEncoder(s *streams) *hpack.Encoder { return hpack.NewEncoder(&s.block) }
