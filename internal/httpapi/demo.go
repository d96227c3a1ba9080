package httpapi

import (
	"io/fs"
	"net/http"
	"net/url"
	"strings"
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

func (d *Demo) config(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, d) }

// page serves the page under a policy that lets it reach only this door and
// the LiveKit server.
func (d *Demo) page(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", d.contentPolicy())
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self)")
	body, err := fs.ReadFile(d.Page, "index.html")
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
	if info, err := fs.Stat(d.Page, name); err != nil || info.IsDir() {
		notFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeFileFS(w, r, d.Page, name)
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
