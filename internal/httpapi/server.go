package httpapi

import (
	"context"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"stagedoor/internal/inflight"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	// idleTimeout outlasts the 60 s for which platforms' proxies keep
	// connections, so that they close them and not we.
	idleTimeout = 75 * time.Second
	// maxHeaderBytes has room for a token of 8 KiB and as much again; in memory
	// many short headers take some twenty times their size.
	maxHeaderBytes = 16 << 10
	// goneWithin bounds the time from the signal to the end, DRAIN_DELAY included.
	goneWithin = 12 * time.Second
)

// unquoted logs what net/http says up to what it quotes: bytes of strangers, or
// of a caller who took one port for another.
type unquoted struct{ log *slog.Logger }

// Write logs one message.
func (u unquoted) Write(p []byte) (int, error) {
	text, _, _ := strings.Cut(string(p), `"`)
	u.log.Debug(strings.TrimSpace(text))
	return len(p), nil
}

// Serve answers on the listeners until ctx ends; then it says not ready but
// goes on for drainDelay, lets running requests finish, and returns within
// 12 s. Errors: a listener that failed, or requests that did not finish.
func Serve(ctx context.Context, api *API, listeners []*net.TCPListener, drainDelay time.Duration, log *slog.Logger) error {
	server := &http.Server{
		Handler:           api,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		TLSConfig:         api.tls,
		// OPTIONS * is answered like everything else.
		DisableGeneralOptionsHandler: true,
		// What net/http says here is mostly caused by strangers.
		ErrorLog: stdlog.New(unquoted{log}, "", 0),
	}
	failed := make(chan error, len(listeners))
	conns := inflight.NewConnTracker(api.believes)
	server.ConnState = conns.ConnState
	var open []*lastCall
	for _, listener := range listeners {
		l := &lastCall{TCPListener: listener}
		open = append(open, l)
		go func() {
			if api.tls == nil {
				failed <- server.Serve(l)
				return
			}
			failed <- server.ServeTLS(l, "", "") // the configuration has the certificate
		}()
	}
	select {
	case err := <-failed:
		_ = server.Close()
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.Background(), goneWithin-500*time.Millisecond)
	defer cancel()
	if drainDelay > 0 {
		log.Info("draining", "for", drainDelay.String())
	}
	api.Drain()
	time.Sleep(drainDelay)
	for _, listener := range open {
		listener.finish()
	}
	for range open {
		<-failed
	}
	conns.Wait(deadline)
	if err := server.Shutdown(deadline); err != nil {
		_ = server.Close()
		return errors.New("some requests did not finish in time")
	}
	return nil
}
