package httpapi

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"stagedoor"
)

// syncLine is one line of the answer to POST /api/sync: how far it is, and in
// the last line what was found or what went wrong.
type syncLine struct {
	Doing   string `json:"doing,omitempty"`
	Seen    int    `json:"seen,omitzero"`
	Summary any    `json:"summary,omitempty"`
	Error   string `json:"error,omitempty"`
}

// syncEvery is how often a line says how far it is.
const syncEvery = 200 * time.Millisecond

// sync serves POST /api/sync: lines of JSON, the last of which has a summary
// or an error. It takes as long as Stripe's budget makes it take.
func (m *Admin) sync(w http.ResponseWriter, r *http.Request) {
	if m.Sync == nil {
		refuse(w, r, stagedoor.Refuse(stagedoor.InvalidRequest, "there is no Stripe to compare with: STRIPE_SECRET_KEY is not set"))
		return
	}
	controller := http.NewResponseController(w)
	_ = controller.SetWriteDeadline(time.Time{})
	_ = controller.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/x-ndjson; charset=utf-8")
	send := func(line syncLine) {
		data, err := json.Marshal(line)
		if err != nil {
			data = []byte(`{"error":"internal error"}`)
		}
		_, _ = w.Write(append(data, '\n'))
		_ = controller.Flush()
	}
	var last time.Time
	summary, err := m.Sync(r.Context(), func(doing string, seen int) {
		if now := time.Now(); now.Sub(last) >= syncEvery {
			last = now
			send(syncLine{Doing: doing, Seen: seen})
		}
	})
	if err != nil {
		rec := recordOf(r.Context())
		rec.err = err
		send(syncLine{Error: "the comparison broke off: " + err.Error()})
		return
	}
	send(syncLine{Summary: summary})
}
