package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	// idleTimeout outlasts the 60 s for which platforms' proxies keep
	// connections, so that they close them and not we.
	idleTimeout    = 75 * time.Second
	maxHeaderBytes = 32 << 10
	// goneWithin bounds the time from the signal to the end, DRAIN_DELAY included.
	goneWithin = 12 * time.Second
)

// Serve answers on the listeners until ctx ends; then it says not ready but
// goes on for drainDelay, lets running requests finish, and returns within
// 12 s. Errors: a listener that failed, or requests that did not finish.
func Serve(ctx context.Context, api *API, listeners []net.Listener, drainDelay time.Duration, log *slog.Logger) error {
	server := &http.Server{
		Handler:           api,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What net/http says here is mostly caused by strangers.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() { failed <- server.Serve(listener) }()
	}
	select {
	case err := <-failed:
		_ = server.Close()
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), goneWithin-500*time.Millisecond)
	defer cancel()
	log.Info("draining", "for", drainDelay.String())
	api.Drain()
	time.Sleep(drainDelay)
	if err := server.Shutdown(deadline); err != nil {
		_ = server.Close()
		return errors.New("some requests did not finish in time")
	}
	return nil
}
