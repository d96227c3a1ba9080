package httpapi

import (
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Demo is the demo room page and its callers; it exists in stagedoor dev alone.
type Demo struct {
	// Page is the built page: index.html and assets/. A nil FS or one without
	// index.html gives a sentence that says how to build it.
	Page       fs.FS        `json:"-"`
	Version    string       `json:"version"`
	LiveKitURL string       `json:"livekitUrl"`
	Room       string       `json:"room"`
	Callers    []DemoCaller `json:"callers"`
	// HasPlans tells the page that Plans is there.
	HasPlans bool `json:"plans"`
	// Plans are the callers' subscriptions at the demo's Stripe; nil when the
	// operator named a Stripe of their own.
	Plans DemoPlans `json:"-"`
}

// DemoPlans are the demo callers' subscriptions.
type DemoPlans interface {
	// All returns every caller's plan, in the callers' order.
	All() []DemoPlan
	// Act does "subscribe", "fail" or "cancel" for a user. Errors: InvalidRequest.
	Act(user, action string) error
}

// DemoPlan is one caller's subscription: none, active, past_due or canceled.
type DemoPlan struct {
	User   string `json:"user"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// DemoCaller is one caller of the demo. Its token is no secret: it is taken
// on loopback in stagedoor dev and nowhere else.
type DemoCaller struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Token string `json:"token"`
	Pays  bool   `json:"pays"`
	About string `json:"about"`
}

// config tells the page what there is. Who pays is what their plan says now.
func (d *Demo) config(w http.ResponseWriter, _ *http.Request) {
	shown := *d
	shown.HasPlans = d.Plans != nil
	if d.Plans != nil {
		shown.Callers = slices.Clone(d.Callers)
		for _, plan := range d.Plans.All() {
			for i := range shown.Callers {
				if shown.Callers[i].ID == plan.User {
					shown.Callers[i].Pays = plan.Status == "active"
				}
			}
		}
	}
	writeJSON(w, http.StatusOK, shown)
}

// plans serves /demo/plans.
func (d *Demo) plans(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if err := d.act(w, r); err != nil {
			refuse(w, r, err)
			return
		}
	}
	writeJSON(w, http.StatusOK, map[string][]DemoPlan{"plans": d.Plans.All()})
}

// act reads {"user", "action"} and does it.
func (d *Demo) act(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	asked := map[string]string{}
	err = readObject(body, func(name string, value func() (jsontext.Value, error)) error {
		raw, err := value()
		if err != nil {
			return err
		}
		asked[name], _ = textValue(raw)
		return nil
	})
	if err != nil {
		return err
	}
	return d.Plans.Act(asked["user"], asked["action"])
}

// page serves the page under a policy that lets it reach only this door and
// the LiveKit server.
func (d *Demo) page(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	asPage(header, d.contentPolicy(), callPermissions)
	body, err := d.file("index.html")
	if err != nil {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("This stagedoor was built without the demo room. Build it with: make build\n"))
		return
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body)
}

// asset serves the page's scripts and styles, whose names change with their bytes.
func (d *Demo) asset(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	// Whole, or not at all: http.ServeFileFS refuses ranges and preconditions in
	// a form of its own, and leads index.html elsewhere.
	body, err := d.file(name)
	if err != nil {
		notFound(w, r)
		return
	}
	kind := mime.TypeByExtension(path.Ext(name))
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(body)
}

// file reads one file of the page's.
func (d *Demo) file(name string) ([]byte, error) {
	if d.Page == nil {
		return nil, fs.ErrNotExist
	}
	return fs.ReadFile(d.Page, name)
}

// contentPolicy names the LiveKit server for the socket and for the HTTP
// requests that its client makes to the same host.
func (d *Demo) contentPolicy() string {
	connect := "'self'"
	if u, err := url.Parse(d.LiveKitURL); err == nil && u.Host != "" {
		plain := strings.Replace(u.Scheme, "ws", "http", 1)
		connect += " " + u.Scheme + "://" + u.Host + " " + plain + "://" + u.Host
		if strings.HasSuffix(u.Hostname(), ".livekit.cloud") {
			// LiveKit Cloud sends clients on to a host of their region.
			connect += " https://*.livekit.cloud wss://*.livekit.cloud"
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; " +
		"font-src 'self' data:; media-src 'self' blob: mediastream:; connect-src " + connect + "; " +
		"worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
