package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"stagedoor"
)

type forgetCmd struct {
	User   string `required:"" help:"The subject of their token, or their identity."`
	Issuer string `help:"Whose subject, where there are several issuers."`
	Bans   bool   `help:"Also bans that keep them out now. Without it these stay."`
	DryRun bool   `help:"Only show what there is."`
	Yes    bool   `help:"Do not ask."`
	JSON   bool   `help:"As JSON. Does not ask: give --yes or --dry-run."`
	As     string `help:"Who you are, for the audit log. Without it: admin." placeholder:"NAME"`
}

// Run deletes what is kept of somebody, once it has been shown and agreed to.
func (c *forgetCmd) Run(a *app) error {
	if c.JSON && !c.Yes && !c.DryRun {
		return failure{exitUsage, errors.New("--json does not ask: give --yes too, or --dry-run")}
	}
	o, err := a.operate()
	if err != nil {
		return err
	}
	defer o.close()
	o.as = c.As
	ask := func(dry bool) (stagedoor.Erased, error) {
		var erased stagedoor.Erased
		body := map[string]any{"user": c.User, "issuer": c.Issuer, "bans": c.Bans, "dryRun": dry}
		if c.JSON {
			answer, err := o.call(a.ctx, http.MethodPost, "/api/forget", nil, body)
			if err != nil {
				return erased, err
			}
			_, err = io.Copy(a.out, answer)
			_, _ = fmt.Fprintln(a.out)
			return erased, errors.Join(err, answer.Close())
		}
		return erased, o.ask(a.ctx, http.MethodPost, "/api/forget", nil, body, &erased)
	}
	if !c.JSON {
		there, err := ask(true)
		if err != nil {
			return err
		}
		if empty, err := printErased(a.out, there); err != nil || empty {
			return err
		}
		if c.DryRun {
			return nil
		}
		if !c.Yes && !agreed(a, "Delete this for good?") {
			return failure{exitFailed, errors.New("nothing was deleted; --yes does not ask")}
		}
	}
	erased, err := ask(c.DryRun)
	if err != nil || c.JSON {
		return err
	}
	_, err = fmt.Fprintln(a.out, "\nDeleted. Audit records, logs and backups stay as long as you keep them: docs/privacy.md.")
	if !erased.Rewritten {
		_, _ = fmt.Fprintln(a.err, "stagedoor: the database is too large to be written anew while the door runs, and may have traces: stop the door and run this once more, or VACUUM it")
	}
	return err
}

// printErased shows what is kept of somebody, and whether it is nothing.
func printErased(out io.Writer, e stagedoor.Erased) (empty bool, err error) {
	who := stagedoor.Printable(e.Subject) + " of " + stagedoor.Printable(e.Issuer)
	lines := []struct {
		what  string
		count int64
		note  string
	}{
		{"name and claims", e.Principals, ""},
		{"visits", e.Presence, ""},
		{"seats and running times", e.Seats + e.Sessions, ""},
		{"marks of tokens handed out", e.Mints, ""},
		{"invitations they made", e.Invitations, fmt.Sprintf("and whom they let in (%d): these are put out", e.Guests)},
		{"invitations they came by", e.Admissions, ""},
		{"links with Stripe customers", e.Links, ""},
		{"Stripe customers of theirs alone", e.Customers, "delete them at Stripe too, else they are learnt again"},
		{"bans", e.Bans, ""},
		{"bans they set, as their moderator", e.Reasons, "the ban stays and names them no more"},
		{"stays: marks of tokens that still work", e.MintsKept, "dropped by themselves by " + e.MintsUntil.UTC().Format(time.RFC3339)},
		{"stays: customers they share", e.CustomersKept, "of others too"},
		{"stays: bans in force", e.BansKept, "--bans deletes them as well"},
	}
	empty = true
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, line := range lines {
		if line.count > 0 {
			if empty {
				_, _ = fmt.Fprintf(table, "%s\n\n", who)
			}
			empty = false
			_, _ = fmt.Fprintf(table, "  %s\t%d\t%s\n", line.what, line.count, line.note)
		}
	}
	if empty {
		_, err = fmt.Fprintf(out, "Nothing is kept of %s.\n", who)
		return true, err
	}
	return false, table.Flush()
}

// agreed asks at the terminal; anything but y or yes is no.
func agreed(a *app, question string) bool {
	_, _ = fmt.Fprintf(a.err, "\n%s [y/N] ", question)
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
