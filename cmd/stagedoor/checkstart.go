package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stagedoor/internal/check"
	"stagedoor/internal/config"
	"stagedoor/internal/tlscert"
)

// startNotes are what keeps serve from starting though every variable is well
// written: files that cannot be used and addresses that are taken. Nothing is
// written. What this user alone may not do stops nothing: the door may have
// another.
func startNotes(a *app, cfg *config.Config, report *config.Report, broken error) []check.Note {
	var notes []check.Note
	add := func(name, what string, err error, remedy string) {
		// What the configuration's own check said of it comes first.
		if err == nil || slices.ContainsFunc(report.Problems, func(p config.Problem) bool { return p.Name == name }) {
			return
		}
		n := check.Note{Name: name, What: what + err.Error(), Remedy: remedy, Stops: true}
		if errors.Is(err, fs.ErrPermission) {
			n.Stops, n.What = false, n.What+", for this user"
			n.Remedy = "run check as the door's user; if it is this one: " + remedy
		}
		notes = append(notes, n)
	}
	if cfg.TLSCertFile != "" && cfg.TLSKeyFile != "" {
		err := tlscert.CheckFiles(cfg.TLSCertFile, cfg.TLSKeyFile, a.now())
		add("TLS_CERT_FILE", "and TLS_KEY_FILE cannot be used: ", err, tlscert.FilesRemedy)
	}
	if broken != nil {
		first, _, _ := strings.Cut(broken.Error(), "\n")
		add("POLICY_FILE", "is not taken: ", errors.New(strings.TrimPrefix(first, "POLICY_FILE: ")), "correct it; stagedoor policy test says what is wrong with it")
	}
	add("AUDIT_LOG", "cannot be opened: ", auditable(cfg.AuditLog), "name a file in a directory that is there, and that the door's user may write")
	if cfg.AdminURL != nil || doorAt(a.ctx, "http://"+cfg.AdminAddr) {
		return notes // a door has them
	}
	add("LISTEN_ADDR", "cannot be listened on: ", listenable(cfg.ListenAddr), "stop what has it, or choose another "+publicPort)
	add("ADMIN_ADDR", "cannot be listened on: ", listenable(cfg.AdminAddr), "stop what has it, or name another")
	return notes
}

// auditable says why serve could not open the audit log, and makes none.
func auditable(path string) error {
	if path == "" || path == auditToStdout {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		if info.Mode()&fs.ModeCharDevice == 0 {
			return fmt.Errorf("%s is not a file", path)
		}
		return nil
	case err == nil:
		file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		return file.Close()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	switch dir, err := os.Stat(filepath.Dir(path)); {
	case err != nil:
		return err
	case !dir.IsDir():
		return fmt.Errorf("%s is not a directory", filepath.Dir(path))
	}
	return nil
}

// listenable says why an address cannot be listened on.
func listenable(address string) error {
	if address == "" {
		return nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
