package livekit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"stagedoor"
)

func TestNotThereIsNoError(t *testing.T) {
	s := start(t, &double{status: 404, reply: `{"code":"not_found","msg":"twirp error unknown: participant does not exist"}`})
	calls := everyCall(t, s)
	// Rooms asks about none in particular.
	delete(calls, "Rooms")
	for name, call := range calls {
		got, err := call()
		if err != nil || !slices.ContainsFunc([]any{[]stagedoor.Participant{}, answered{}, false}, func(want any) bool { return reflect.DeepEqual(got, want) }) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

// Every other answer is an error that says what happened and repeats nothing
// of the answer, which holds the token here.
func TestEveryOtherAnswerIsAnError(t *testing.T) {
	const leak = "SECRET-OF-THE-ANSWER {{token}}"
	for name, c := range map[string]struct {
		double *double
		want   string
	}{
		"TestWrongKeyIsRecognised":          {&double{status: 401, contentType: "text/plain", reply: "invalid token: {{token}}, error: " + leak}, "refuses the door's key"},
		"TestWrongGrantIsRecognised":        {&double{status: 401, contentType: "application/json", reply: `{"code":"unauthenticated","msg":"permissions denied"}`}, "refuses the door's key"},
		"TestProxys404IsNotAnEmptyRoom":     {&double{status: 404, contentType: "text/html", reply: "<h1>" + leak}, "404 without a code"},
		"TestWrongPathIsNotAnEmptyRoom":     {&double{status: 404, reply: `{"code":"bad_route","msg":"` + leak + `"}`}, "404 bad_route"},
		"TestNotFoundNeedsItsStatus":        {&double{status: 500, reply: `{"code":"not_found","msg":""}`}, "500 not_found"},
		"a fault":                           {&double{status: 500, reply: `{"code":"internal","msg":"` + leak + `"}`}, "500 internal"},
		"no server for the participant":     {&double{status: 503, reply: `{"code":"unavailable","msg":"` + leak + `"}`}, "503 unavailable"},
		"TestCodeIsNoWayIntoTheLog":         {&double{status: 500, reply: `{"code":"` + leak + `\n{{token}}","msg":""}`}, "500 without a code"},
		"a code of another type":            {&double{status: 500, reply: `{"code":7}`}, "500 without a code"},
		"HTML":                              {&double{status: 200, contentType: "text/html", reply: "<html>" + leak}, "not a JSON object"},
		"nothing":                           {&double{status: 200}, "not a JSON object"},
		"a list":                            {&double{status: 200, reply: `["` + leak + `"]`}, "not a JSON object"},
		"null":                              {&double{status: 200, reply: `null`}, "not a JSON object"},
		"two answers":                       {&double{status: 200, reply: annInfo + annInfo}, "not a JSON object"},
		"a field twice":                     {&double{status: 200, reply: `{"identity":"ann","identity":"eve"}`}, "not a JSON object"},
		"a cut answer":                      {&double{status: 200, reply: annInfo[:60]}, "not a JSON object"},
		"bytes that are not UTF-8":          {&double{status: 200, reply: "{\"identity\":\"ann\xff\"}"}, "not a JSON object"},
		"no content":                        {&double{status: 204}, "204"},
		"another success":                   {&double{status: 201, reply: annInfo}, "201"},
		"TestEndlessAnswerIsNotReadForEver": {&double{status: 200, reply: `{"x":"` + strings.Repeat("a", maxReply) + `"}`}, "longer than 10 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.double)
			for method, call := range everyCall(t, s) {
				got, err := call()
				wantUnavailable(t, err, c.want)
				if strings.Contains(fmt.Sprint(err), "SECRET") || strings.Contains(fmt.Sprint(err), c.double.token) {
					t.Errorf("%s tells %v", method, err)
				}
				if refused := errors.Is(err, ErrKeyRefused); refused != (c.double.status == 401) {
					t.Errorf("%s: the key is refused: %t", method, refused)
				}
				if strings.Contains(fmt.Sprint(got), "true") {
					t.Errorf("%s: %v besides the error", method, got)
				}
			}
		})
	}
}

func wantUnavailable(t *testing.T, err error, text string) {
	t.Helper()
	var e *stagedoor.Error
	if !errors.As(err, &e) || e.Kind != stagedoor.Unavailable || e.RetryAfter <= 0 || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want %q", err, text)
	}
}

func TestAnswersOfTheWrongType(t *testing.T) {
	for reply, method := range map[string]string{
		`{"rooms":{}}`:           "Rooms",
		`{"rooms":["a"]}`:        "Rooms",
		`{"rooms":[{"name":1}]}`: "Rooms",
		`{"rooms":[{"name":"a","num_participants":"many"}]}`:               "Rooms",
		`{"participants":"ann"}`:                                           "Participants",
		`{"participants":[null]}`:                                          "Participants",
		`{"participants":[{"identity":[]}]}`:                               "Participants",
		`{"identity":"ann","permission":true}`:                             "Participant",
		`{"identity":"ann","permission":{"can_publish":"false"}}`:          "Participant",
		`{"identity":"ann","permission":{"can_publish_sources":[1.5]}}`:    "UpdatePermission",
		`{"identity":"ann","permission":{"can_publish_sources":[null]}}`:   "UpdatePermission",
		`{"identity":"ann","permission":{"can_publish_sources":"CAMERA"}}`: "UpdatePermission",
		`{"identity":"ann","joined_at":"soon"}`:                            "Participant",
		`{"identity":"ann","kind":{}}`:                                     "Participant",
		`{"identity":"ann","sid":1}`:                                       "Participant",
	} {
		_, err := everyCall(t, start(t, &double{status: 200, reply: reply}))[method]()
		if stagedoor.KindOf(err) != stagedoor.Unavailable {
			t.Errorf("%s: %v", reply, err)
		}
	}
	for _, reply := range []string{`{}`, `{"identity":"eve"}`, strings.Replace(annInfo, `"ann"`, `"Ann"`, 1)} {
		for _, method := range []string{"Participant", "UpdatePermission"} {
			_, err := everyCall(t, start(t, &double{status: 200, reply: reply}))[method]()
			wantUnavailable(t, err, "not the participant")
		}
	}
}

func TestSlowServerHoldsNobodyLongerThanAllowed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Headers come at once, the rest never.
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	s := start(t, slow)
	t.Cleanup(func() { close(release) })
	begun := time.Now()
	_, err := s.Rooms(context.Background())
	if took := time.Since(begun); took < callTimeout || took > 2*callTimeout {
		t.Errorf("without a deadline it takes %v", took)
	}
	wantUnavailable(t, err, "in time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun = time.Now()
	if _, err = s.Rooms(short); time.Since(begun) > time.Second {
		t.Error("the caller's deadline is not kept")
	}
	wantUnavailable(t, err, "in time")
	long, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	s.Client.Timeout = 50 * time.Millisecond
	_, err = s.Rooms(long)
	wantUnavailable(t, err, "in time")
}

// A redirect would carry the door's token to whoever the answer names.
func TestRedirectIsNotFollowed(t *testing.T) {
	other := &double{status: 200, reply: `{}`}
	elsewhere := httptest.NewServer(other)
	defer elsewhere.Close()
	s := start(t, http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	_, err := s.Rooms(t.Context())
	wantUnavailable(t, err, "307")
	if other.calls != 0 {
		t.Error("it was followed")
	}
}

// raw is a server that answers every connection with the same bytes.
func raw(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.Copy(conn, bytes.NewReader([]byte(answer)))
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestErrorsTellNothingOfAnAnswerThatIsNotHTTP(t *testing.T) {
	s := start(t, &double{})
	for _, answer := range []string{"SECRET hello\r\n\r\n", "HTTP/1.1 SECRET\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nSECRET", "HTTP/1.1 200 OK\r\nSECRET\r\n\r\n",
		"HTTP/1.1 307 x\r\nLocation: ://SECRET\r\n\r\n"} {
		s.URL = raw(t, answer)
		_, err := s.Rooms(t.Context())
		wantUnavailable(t, err, "LiveKit")
		if strings.Contains(err.Error(), "SECRET") {
			t.Error(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + listener.Addr().String()
	_ = listener.Close()
	_, err = s.Rooms(t.Context())
	wantUnavailable(t, err, "cannot be reached")
	secure := httptest.NewUnstartedServer(&double{status: 200, reply: `{}`})
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	s.URL, s.Client = secure.URL, nil
	_, err = s.Rooms(t.Context())
	wantUnavailable(t, err, "certificate")
}
