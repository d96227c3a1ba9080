package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"

	"stagedoor/client"
	"stagedoor/docs"
	"stagedoor/internal/config"
	"stagedoor/internal/httpapi"
)

type serveCmd struct{}

// Run serves until the process is told to end.
func (*serveCmd) Run(a *app) error {
	cfg, report, err := a.configure(config.Serve)
	if err != nil {
		return err
	}
	log := newLogger(cfg, a.err)
	warn(log, report)
	d := deployment{url: cfg.ClientURL(), key: cfg.LiveKitAPIKey, secret: cfg.LiveKitAPISecret}
	callers, err := newAuthenticator(cfg, d.key, a.now, log)
	if err != nil {
		return failure{exitUsage, err}
	}
	listeners, err := listen(cfg.ListenAddr)
	if err != nil {
		return err
	}
	defer background(context.Background(), callers.Run)()
	api := httpapi.New(httpapi.Options{
		Door:       newDoor(cfg, d, callers, callers.Prefixes(), a.out, a.now),
		LiveKitURL: d.url, Ready: callers.Ready, Now: a.now, Log: log,
		RequireHTTPS: cfg.RequireHTTPS, PublicHost: cfg.PublicHost,
		TrustedProxies: cfg.TrustedProxies, ClientIPHeader: cfg.ClientIPHeader, AllowedOrigins: cfg.AllowedOrigins,
		Helper: client.Helper, Spec: docs.OpenAPI,
	})
	log.Info("stagedoor is listening", "address", listeners[0].Addr().String(), "version", version, "livekit", d.url)
	if err := httpapi.Serve(a.ctx, api, listeners, cfg.DrainDelay, log); err != nil {
		return err
	}
	log.Info("stagedoor has ended")
	return nil
}

// warn logs what the configuration leaves open.
func warn(log *slog.Logger, report *config.Report) {
	for _, w := range report.Warnings {
		attrs := []any{"name", w.Name}
		if w.Remedy != "" {
			attrs = append(attrs, "remedy", w.Remedy)
		}
		log.Warn("configuration: "+w.Name+" "+w.What, attrs...)
	}
}

// listen opens every address, or none and says what to do.
func listen(addresses ...string) ([]*net.TCPListener, error) {
	var listeners []*net.TCPListener
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, listenError(address, err)
		}
		listeners = append(listeners, l.(*net.TCPListener))
	}
	return listeners, nil
}

// listenError says in words why an address cannot be listened on.
func listenError(address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %s is taken by another program. Stop that one, or choose another port with PORT, or with LISTEN_ADDR if that is set", port)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("port %s may not be used by this user. Choose one above 1023 with PORT, or with LISTEN_ADDR if that is set", port)
	}
	return fmt.Errorf("cannot listen on %s: %w", address, err)
}
