package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"stagedoor"
)

type banCmd struct {
	User   string `arg:"" help:"The subject of their token, or their identity."`
	Room   string `help:"Keep them out of this room alone."`
	For    span   `help:"For how long: 30m, 24h. Without it, for good." placeholder:"DURATION"`
	Until  string `help:"Until when: 2026-12-31T18:00:00Z." placeholder:"TIME"`
	Reason string `help:"For other operators; the person is not told."`
	Issuer string `help:"Whose subject, where there are several issuers."`
	As     string `help:"Who you are, for the audit log. Without it: admin." placeholder:"NAME"`
}

// shownBan is a ban as the API shows it.
type shownBan struct {
	ID, Issuer, Subject, Room, Reason string
	Until                             *time.Time
	CreatedAt                         time.Time
	Note                              string
}

// Run keeps somebody out.
func (c *banCmd) Run(a *app) error {
	o, err := a.operate()
	if err != nil {
		return err
	}
	defer o.close()
	o.as = c.As
	body := map[string]string{"user": c.User, "issuer": c.Issuer, "room": c.Room, "until": c.Until, "reason": c.Reason}
	if c.For != 0 {
		body["for"] = time.Duration(c.For).String()
	}
	var ban shownBan
	if err := o.ask(a.ctx, http.MethodPost, "/api/bans", nil, body, &ban); err != nil {
		return err
	}
	if _, err = fmt.Fprintf(a.out, "%s: %s is kept out of %s\n", ban.ID, stagedoor.Printable(ban.Subject), extent(ban)); err != nil {
		return err
	}
	if ban.Note != "" {
		_, _ = fmt.Fprintln(a.err, "stagedoor: "+ban.Note)
	}
	if stranger(a, o, ban) {
		_, _ = fmt.Fprintln(a.err, "stagedoor: nobody of that name has been here yet; a subject is counted with its case")
	}
	if o.direct {
		_, _ = fmt.Fprintln(a.err, "stagedoor: written to the database; a door that runs on it takes it over within two seconds")
	}
	return nil
}

// stranger reports whether nothing is known of whom a ban keeps out. A door
// that does not say is no reason to fail: the ban is set.
func stranger(a *app, o *operations, ban shownBan) bool {
	var kept stagedoor.Erased
	body := map[string]any{"user": ban.Subject, "issuer": ban.Issuer, "dryRun": true}
	err := o.ask(a.ctx, http.MethodPost, "/api/forget", nil, body, &kept)
	return err == nil && kept.DryRun && kept.Principals == 0
}

// span is a duration on the command line. Like time.ParseDuration it knows no
// days, and says what to write instead.
type span time.Duration

// UnmarshalText reads 30m or 24h.
func (s *span) UnmarshalText(text []byte) error {
	given := string(text)
	d, err := time.ParseDuration(given)
	if err == nil {
		*s = span(d)
		return nil
	}
	for unit, hours := range map[string]int{"d": 24, "w": 7 * 24} {
		digits, found := strings.CutSuffix(given, unit)
		if n, err := strconv.Atoi(digits); found && err == nil && n > 0 && n < 10000 {
			return fmt.Errorf("%q is no duration: write %dh", given, n*hours)
		}
	}
	return fmt.Errorf("%q is no duration: write 30m or 24h", given)
}

// extent says where and for how long.
func extent(ban shownBan) string {
	where := "every room"
	if ban.Room != "" {
		where = ban.Room
	}
	if ban.Until == nil {
		return where + " for good"
	}
	return where + " until " + ban.Until.UTC().Format(time.RFC3339)
}

type unbanCmd struct {
	Who    string `arg:"" help:"The ban's id (ban_…), or the person."`
	Room   string `help:"Lift only bans of this room."`
	Issuer string `help:"Whose subject, where there are several issuers."`
	As     string `help:"Who you are, for the audit log. Without it: admin." placeholder:"NAME"`
}

// Run lets somebody in again.
func (c *unbanCmd) Run(a *app) error {
	o, err := a.operate()
	if err != nil {
		return err
	}
	defer o.close()
	o.as = c.As
	var lifted struct{ Bans []shownBan }
	if strings.HasPrefix(c.Who, "ban_") {
		var one shownBan
		if err := o.ask(a.ctx, http.MethodDelete, "/api/bans/"+url.PathEscape(c.Who), nil, nil, &one); err != nil {
			return err
		}
		lifted.Bans = []shownBan{one}
	} else if err := o.ask(a.ctx, http.MethodDelete, "/api/bans", queryOf("user", c.Who, "issuer", c.Issuer, "room", c.Room), nil, &lifted); err != nil {
		return err
	}
	if len(lifted.Bans) == 0 {
		return fmt.Errorf("%s is not banned", stagedoor.Printable(c.Who))
	}
	for _, ban := range lifted.Bans {
		if _, err := fmt.Fprintf(a.out, "%s is lifted: %s\n", ban.ID, stagedoor.Printable(ban.Subject)); err != nil {
			return err
		}
	}
	return nil
}

type bansCmd struct {
	User   string `help:"Only this person's."`
	Issuer string `help:"Whose subject, where there are several issuers."`
	JSON   bool   `help:"As JSON."`
}

// Run lists who is kept out.
func (c *bansCmd) Run(a *app) error {
	var list struct{ Bans []shownBan }
	if err := a.show("/api/bans", queryOf("user", c.User, "issuer", c.Issuer), c.JSON, &list); err != nil || c.JSON {
		return err
	}
	if len(list.Bans) == 0 {
		_, err := fmt.Fprintln(a.out, "Nobody is banned.")
		return err
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "BAN\tWHO\tISSUER\tOUT OF\tREASON")
	for _, ban := range list.Bans {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", ban.ID, stagedoor.Printable(ban.Subject), stagedoor.Printable(ban.Issuer), extent(ban), stagedoor.Printable(ban.Reason))
	}
	return table.Flush()
}

// queryOf makes a query of names and values, without the empty ones.
func queryOf(pairs ...string) url.Values {
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return query
}
