// Command stagedoor is the door in front of LiveKit.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"stagedoor/internal/clockskew"
	"stagedoor/internal/config"
)

// Exit statuses, the same for every command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// version and commit are set by the linker; see the Makefile.
var (
	version = "devel"
	commit  = "unknown"
)

func main() {
	// A reader of the output that goes away makes writes fail; it ends nothing.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), stdio{os.Stdout, os.Stderr}))
}

// stdio is where a command writes: answers to out, everything else to err.
type stdio struct{ out, err io.Writer }

// cli is every command and flag.
type cli struct {
	EnvFile string `name:"env-file" placeholder:"FILE" help:"Read this file of NAME=VALUE lines instead of .env. The real environment wins."`

	Serve   serveCmd   `cmd:"" help:"Run the door in production. Refuses an unsafe or incomplete configuration."`
	Dev     devCmd     `cmd:"" help:"Run the door, a LiveKit server and the demo room on this machine. Not for production."`
	Check   checkCmd   `cmd:"" help:"Look at every line of the security checklist, live, or at one token."`
	Explain explainCmd `cmd:"" help:"Say step by step why somebody may or may not join or publish."`
	Ban     banCmd     `cmd:"" help:"Put somebody out and keep them out."`
	Unban   unbanCmd   `cmd:"" help:"Let somebody in again."`
	Bans    bansCmd    `cmd:"" help:"List who is kept out."`
	Audit   auditCmd   `cmd:"" help:"Show what was decided, about whom and why."`
	Forget  forgetCmd  `cmd:"" help:"Delete what is kept of somebody."`
	Sync    syncCmd    `cmd:"" help:"Compare everything with Stripe now."`
	Backup  backupCmd  `cmd:"" help:"Copy the database to a file, also while the server runs."`
	Restore restoreCmd `cmd:"" help:"Put a backup in the database's place. Stop the server first."`
	Policy  policyCmd  `cmd:"" help:"Try a policy file."`
	Scan    scanCmd    `cmd:"" help:"Look for secrets in files, bundles and images."`
	Token   tokenCmd   `cmd:"" help:"Print one LiveKit token, for an operator's test."`
	Version versionCmd `cmd:"" help:"Print version, commit and Go version."`
}

// app is what every command is given.
type app struct {
	ctx     context.Context
	environ []string
	envFile string
	stdio
	now func() time.Time
	// clocks measures other servers' clocks; nil: nobody does.
	clocks *clockskew.Monitor
}

// failure is an error with an exit status; its text is for people.
type failure struct {
	status int
	err    error
}

// Error returns the text; a failure without one has already been explained.
func (f failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

// run is the program: main without the process around it.
func run(ctx context.Context, args, environ []string, io stdio) int {
	var c cli
	status := -1
	parser, err := kong.New(&c,
		kong.Name("stagedoor"),
		kong.Description("The door in front of LiveKit: checks who the caller is and mints a token that says exactly what they may do."),
		kong.Writers(io.out, io.err),
		kong.Exit(func(code int) { status = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		_, _ = fmt.Fprintln(io.err, "stagedoor:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if status >= 0 {
		return status // --help was printed
	}
	if err != nil {
		_, _ = fmt.Fprintf(io.err, "stagedoor: %v\nRun \"stagedoor --help\" for the commands.\n", err)
		return exitUsage
	}
	err = parsed.Run(&app{ctx: ctx, environ: environ, envFile: c.EnvFile, stdio: io, now: time.Now})
	if err == nil {
		return exitOK
	}
	var f failure
	if errors.As(err, &f) {
		if f.err != nil {
			_, _ = fmt.Fprintf(io.err, "stagedoor: %v\n", f.err)
		}
		return f.status
	}
	_, _ = fmt.Fprintf(io.err, "stagedoor: %v\n", err)
	return exitFailed
}

// configure loads the configuration for a command, or prints every mistake at
// once and fails with the usage status.
func (a *app) configure(mode config.Mode) (*config.Config, *config.Report, error) {
	cfg, report := config.Load(mode, a.environ, a.envFile)
	if report.Err() != nil {
		_ = report.Format(a.err, coloured(a.err, a.environ))
		return nil, nil, failure{status: exitUsage}
	}
	return cfg, report, nil
}
