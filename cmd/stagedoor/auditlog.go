package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"stagedoor/internal/audit"
	"stagedoor/internal/config"
)

// auditToStdout is the AUDIT_LOG that names no file.
const auditToStdout = "stdout"

// records is where audit records go.
type records struct {
	io.Writer
	// ready says why no record can be kept.
	ready func() error
	close func()
}

// openRecords opens what AUDIT_LOG names. From then on SIGHUP has a file
// opened anew, and ends the process no more.
func openRecords(cfg *config.Config, stdout io.Writer, now func() time.Time, log *slog.Logger) (records, error) {
	if cfg.AuditLog == auditToStdout {
		return records{stdout, func() error { return nil }, func() {}}, nil
	}
	file, err := audit.OpenFile(audit.FileOptions{Path: cfg.AuditLog, MaxSize: int64(cfg.AuditMaxSize), Keep: cfg.AuditKeep, Now: now, Log: log})
	if err != nil {
		return records{}, fmt.Errorf("AUDIT_LOG: the audit log cannot be opened: %w", err)
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-hangups:
				_ = file.Reopen() // it logs what keeps it
			case <-done:
				return
			}
		}
	}()
	return records{file, file.Ready, func() {
		signal.Stop(hangups)
		close(done)
		if err := file.Close(); err != nil {
			log.Error("the audit log could not be closed", "err", err)
		}
	}}, nil
}
