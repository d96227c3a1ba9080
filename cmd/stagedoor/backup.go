package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/store"
)

type backupCmd struct {
	File  string `arg:"" help:"The file to write."`
	Force bool   `help:"Replace the file if it exists."`
	JSON  bool   `help:"As JSON."`
}

// Run copies the database, also while a server uses it, and checks the copy.
func (c *backupCmd) Run(a *app) error {
	cfg, _, err := a.configure(config.Operate)
	if err != nil {
		return err
	}
	found, err := store.Backup(a.ctx, cfg.DatabasePath, c.File, c.Force)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.out).Encode(found)
	}
	_, _ = fmt.Fprintf(a.out, "%s  %s\n\n", paint(coloured(a.out, a.environ), "32", "✓"), "Backed up and checked.")
	return printSnapshot(a.out, found)
}

type restoreCmd struct {
	File string `arg:"" help:"The backup to restore."`
	JSON bool   `help:"As JSON."`
}

// Run puts a backup in the database's place. What was there stays under another name.
func (c *restoreCmd) Run(a *app) error {
	cfg, _, err := a.configure(config.Operate)
	if err != nil {
		return err
	}
	if cfg.AdminURL == nil && doorAt(a.ctx, "http://"+cfg.AdminAddr) {
		return errors.New("a server is running here: stop it first")
	}
	restored, aside, err := store.Restore(a.ctx, c.File, cfg.DatabasePath, a.now())
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.out).Encode(struct {
			store.Snapshot
			Aside string `json:"aside,omitempty"`
		}{restored, aside})
	}
	_, _ = fmt.Fprintf(a.out, "%s  %s\n\n", paint(coloured(a.out, a.environ), "32", "✓"), "Restored.")
	if err := printSnapshot(a.out, restored); err != nil {
		return err
	}
	if aside != "" {
		_, _ = fmt.Fprintf(a.out, "\nWhat was there before is now %s.\n", stagedoor.Printable(aside))
	}
	_, err = fmt.Fprint(a.out, "\nNext: start the server, run \"stagedoor sync\" to learn from Stripe what changed since the backup,\n"+
		"and set bans again that were set since then. Erasures since then must be repeated too.\n")
	return err
}

// printSnapshot shows what a copy of the database holds.
func printSnapshot(out io.Writer, s store.Snapshot) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintf(table, "  file\t%s\n", stagedoor.Printable(s.Path))
	_, _ = fmt.Fprintf(table, "  size\t%.1f MiB\n", float64(s.Size)/(1<<20))
	_, _ = fmt.Fprintf(table, "  tables\tversion %d\n", s.Version)
	for _, count := range s.Rows {
		_, _ = fmt.Fprintf(table, "  %s\t%d\n", count.Table, count.Rows)
	}
	return table.Flush()
}
