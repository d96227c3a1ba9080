package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"
)

type syncCmd struct {
	JSON bool `help:"The summary as JSON."`
}

// Run compares everything with Stripe now.
func (c *syncCmd) Run(a *app) error {
	o, err := a.operate()
	if err != nil {
		return err
	}
	defer o.close()
	began := a.now()
	answer, err := o.call(a.ctx, http.MethodPost, "/api/sync", nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	live := terminal(a.err)
	lines := bufio.NewScanner(answer)
	for lines.Scan() {
		var line struct {
			Doing   string
			Seen    int
			Summary json.RawMessage
			Error   string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		switch {
		case line.Error != "":
			return errors.New(line.Error)
		case line.Summary != nil:
			if live {
				_, _ = fmt.Fprintf(a.err, "\r%-60s\r", "")
			}
			return c.print(a, line.Summary, a.now().Sub(began))
		case live:
			_, _ = fmt.Fprintf(a.err, "\r  %-50s %7d", line.Doing, line.Seen)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the door ended the comparison without a summary")
}

// print writes what was found.
func (c *syncCmd) print(a *app, summary json.RawMessage, took time.Duration) error {
	if c.JSON {
		_, err := fmt.Fprintln(a.out, string(summary))
		return err
	}
	var found syncSummary
	if err := json.Unmarshal(summary, &found); err != nil {
		return err
	}
	table := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	for _, row := range []struct {
		name  string
		count int
	}{
		{"events that had not arrived", found.Events},
		{"subscriptions at Stripe", found.Subscriptions},
		{"customers with one", found.Customers},
		{"links from Checkout", found.Links},
		{"customers that differed", found.Differing},
		{"changes left to ask about", found.Left},
	} {
		_, _ = fmt.Fprintf(table, "%s\t%d\n", row.name, row.count)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "compared in %.1f s\n", took.Seconds())
	if err == nil && found.Left > 0 {
		return errors.New("Stripe was not asked about every change in time; the door goes on")
	}
	return err
}
