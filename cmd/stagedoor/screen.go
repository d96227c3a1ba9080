package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"stagedoor"
	"stagedoor/internal/devserver"
	"stagedoor/internal/httpapi"
)

// screen is what stagedoor dev prints once it is ready.
type screen struct {
	out    io.Writer
	colour bool
	// url is where the page is, admin where operators ask.
	url, admin string
	// policy is the policy file; empty: the demo's own rules.
	policy string
	// livekit is LiveKit's address; started is set when it runs for this process.
	livekit string
	started bool
	demo    *httpapi.Demo
}

func (s screen) print() {
	bold := func(text string) string { return paint(s.colour, "1", text) }
	from := "started for this run, with keys made for it"
	if !s.started {
		from = "named by LIVEKIT_URL"
	}
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }
	p("")
	p("  %s  %s", bold("stagedoor dev"), paint(s.colour, "33", "for this machine only, never for production"))
	p("")
	p("  Open      %s", paint(s.colour, "36", s.url))
	p("  LiveKit   %s  (%s)", s.livekit, from)
	if s.demo.Plans != nil {
		p("  Stripe    a small one of the demo's own: change Bob's plan beside the room and watch the call")
	} else {
		p("  Stripe    the account of STRIPE_SECRET_KEY")
	}
	if s.policy != "" {
		p("  Policy    %s, read again when it changes", stagedoor.Printable(s.policy))
	} else {
		p("  Policy    the demo's own: every room, Alice may mute, remove and invite; POLICY_FILE names another")
	}
	p("  Admin     http://%s  (try: ADMIN_URL=http://%s stagedoor explain --user bob --room demo)", s.admin, s.admin)
	p("")
	table := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "  CALLER\tTOKEN\tMAY")
	for _, caller := range s.demo.Callers {
		about := caller.About
		if s.policy != "" {
			about = fmt.Sprintf("What the policy file says of the issuer %s's %s, who has no claims.", devserver.Issuer, caller.ID)
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\n", caller.Name, caller.Token, about)
	}
	_ = table.Flush()
	p("")
	if s.policy != "" {
		p("  %s", bold("Paste one of these, with a room of your rules:"))
	} else {
		p("  %s", bold("Paste one of these:"))
	}
	p("")
	for _, caller := range s.demo.Callers {
		p(`  curl -X POST %s/api/join -H "Content-Type: application/json" -H "Authorization: Bearer %s" -d '{"room": "demo"}'`, s.url, caller.Token)
	}
	p("")
	p("  Callers of your own: set JWT_SECRET or OIDC_ISSUER. A page of your own: set ALLOWED_ORIGINS.")
	p("  Ctrl-C ends everything.")
	p("")
}
