package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/enforce"
	"stagedoor/internal/httpapi"
	"stagedoor/internal/livekit"
)

// operations is the operators' API as their commands reach it: at a running
// door, or, where none runs, in this process over the database itself.
type operations struct {
	client *http.Client
	base   string
	token  stagedoor.Secret
	close  func()
	// direct is set where no door runs.
	direct bool
	// as is who acts, for the audit log; empty: the admin token's holder.
	as string
}

// probePatience is how long a door on this machine has to answer.
const probePatience = 500 * time.Millisecond

// operate finds the operators' API.
func (a *app) operate() (*operations, error) {
	cfg, _, err := a.configure(config.Operate)
	if err != nil {
		return nil, err
	}
	if cfg.AdminURL != nil {
		return &operations{client: &http.Client{}, base: strings.TrimRight(cfg.AdminURL.String(), "/"), token: cfg.AdminToken, close: func() {}}, nil
	}
	base := "http://" + cfg.AdminAddr
	if doorAt(a.ctx, base) {
		return &operations{client: &http.Client{}, base: base, token: cfg.AdminToken, close: func() {}}, nil
	}
	if _, err := os.Stat(cfg.DatabasePath); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no door answers at %s, and there is no database at %s; name the door in ADMIN_URL, or the database in DATABASE_URL", base, cfg.DatabasePath)
	}
	return a.operateDirectly(cfg)
}

// doorAt reports whether a door's admin listener answers at an address.
func doorAt(ctx context.Context, base string) bool {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	first, err := io.ReadAll(io.LimitReader(resp.Body, 9))
	return err == nil && string(first) == "stagedoor"
}

// operateDirectly serves the API to this process alone, over the database.
func (a *app) operateDirectly(cfg *config.Config) (*operations, error) {
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError}))
	rules, err := a.openPolicy(cfg, "", log)
	if err != nil {
		return nil, err
	}
	who := issuersOf(issuersFrom(cfg, rules.Issuers()))
	kept, err := openStore(a.ctx, cfg, who.prefixes, cfg.DatabasePath)
	if err != nil {
		return nil, err
	}
	bans, err := enforce.LoadBans(a.ctx, kept, a.now, log, nil)
	if err != nil {
		_ = kept.Close()
		return nil, err
	}
	records, closeRecords := directRecords(cfg, a, log)
	door := newDoor(cfg, deployment{}, nil, rules, who.prefixes, records, a.now)
	d := desk{store: kept, bans: bans, ending: a.ctx, issuers: who, rules: rules, audit: door.AuditLog.Record, now: a.now}
	door.Bans, door.Sessions, door.Invitations = bans, kept, kept
	stop := func() {}
	if d.billing, err = a.newBilling(a.ctx, cfg, who.prefixes, plansOf(cfg), kept, log, nil); err != nil {
		_ = kept.Close()
		return nil, err
	}
	if d.billing != nil {
		door.Entitlements = d.billing.Known()
	}
	if cfg.LiveKitAPIKey != "" && cfg.APIURL() != "" {
		d.rooms = &livekit.RoomService{URL: cfg.APIURL(), Key: cfg.LiveKitAPIKey, Secret: cfg.LiveKitAPISecret, Now: a.now}
	}
	d.decide = door.Decide
	m := newAdmin(cfg, d)
	m.Token, m.TokenPrevious = stagedoor.Secret{}, stagedoor.Secret{} // who can open the database needs none
	api := httpapi.NewAdmin(httpapi.Options{Admin: m, Now: a.now, Log: log})
	if d.billing != nil {
		syncs := m.Sync
		m.Sync = func(ctx context.Context, progress func(string, int)) (any, error) {
			// What differs is asked for by the worker, which a door would run.
			stop = background(ctx, d.billing.Work)
			return syncs(ctx, progress)
		}
	}
	return &operations{client: &http.Client{Transport: inProcess{api}}, base: "http://localhost", direct: true,
		close: func() { stop(); closeRecords(); _ = kept.Close() }}, nil
}

// inProcess carries requests to a handler of this process.
type inProcess struct{ handler http.Handler }

// RoundTrip has the handler answer; the body streams.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body, writer := io.Pipe()
	answer := &pipedAnswer{header: http.Header{}, body: writer, status: make(chan int, 1)}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r = r.Clone(r.Context())
	r.RemoteAddr, r.RequestURI = "127.0.0.1:0", r.URL.RequestURI()
	r.Host = r.URL.Host
	go func() {
		t.handler.ServeHTTP(answer, r)
		answer.WriteHeader(http.StatusOK)
		_ = writer.Close()
	}()
	status := <-answer.status
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: answer.header, Body: body, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

// pipedAnswer is the ResponseWriter of an answer that streams.
type pipedAnswer struct {
	header http.Header
	body   *io.PipeWriter
	status chan int
	sent   bool
}

// Header returns the headers to be sent.
func (w *pipedAnswer) Header() http.Header { return w.header }

// WriteHeader sends the status, once.
func (w *pipedAnswer) WriteHeader(status int) {
	if !w.sent {
		w.sent = true
		w.status <- status
	}
}

// Write sends a part of the body.
func (w *pipedAnswer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush is there for handlers that stream; nothing is held back.
func (w *pipedAnswer) Flush() {}

// call sends one request and returns the answer's body, for the caller to
// close. A refusal is an error that says what the door said.
func (o *operations) call(ctx context.Context, method, path string, query url.Values, body any) (io.ReadCloser, error) {
	address := o.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !o.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+o.token.Reveal())
	}
	if o.as != "" {
		req.Header.Set("X-Operator", o.as)
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the door at %s does not answer: %w", o.base, errors.Unwrap(err))
	}
	if resp.StatusCode < 300 {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	var refusal struct{ Error, Code string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&refusal)
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, fmt.Errorf("the door at %s wants its ADMIN_TOKEN: set ADMIN_TOKEN to it", o.base)
	case refusal.Code == "invalid_request" || refusal.Code == "invalid_room":
		_, text, _ := strings.Cut(refusal.Error, ": ")
		return nil, failure{exitUsage, errors.New(text)}
	case refusal.Error == "":
		return nil, fmt.Errorf("%s answers HTTP %d and is no door's admin listener; check ADMIN_URL", o.base, resp.StatusCode)
	}
	return nil, errors.New(refusal.Error)
}

// ask sends one request and reads the whole answer into value.
func (o *operations) ask(ctx context.Context, method, path string, query url.Values, body, value any) error {
	answer, err := o.call(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	return json.NewDecoder(answer).Decode(value)
}

// show asks for what path has and writes it as it came, or reads it into value.
func (a *app) show(path string, query url.Values, asJSON bool, value any) error {
	o, err := a.operate()
	if err != nil {
		return err
	}
	defer o.close()
	if !asJSON {
		return o.ask(a.ctx, http.MethodGet, path, query, nil, value)
	}
	answer, err := o.call(a.ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	_, err = io.Copy(a.out, answer)
	_, _ = fmt.Fprintln(a.out)
	return err
}
