package livekit

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"stagedoor/internal/clockskew"
	"stagedoor/internal/inflight"

	"stagedoor"
)

const (
	// callTimeout bounds a call whose context has no deadline.
	callTimeout = 3 * time.Second
	// maxReply is the longest answer that is read, in bytes.
	maxReply = 10 << 20
	// callRetryAfter is the advice when LiveKit did not answer.
	callRetryAfter = 5 * time.Second
)

// ErrKeyRefused is in the chain of an error when LiveKit does not know the
// API key, its secret is another, or the clocks are a minute apart.
var ErrKeyRefused = errors.New("LiveKit refuses the door's key")

// noAnswer is the error of a call that LiveKit did not do.
func noAnswer(cause error) error {
	return &stagedoor.Error{Kind: stagedoor.Unavailable, Detail: "LiveKit does not answer as expected", RetryAfter: callRetryAfter, Err: cause}
}

// check refuses to call without an address, key or clock.
func (s *RoomService) check() error {
	if s.URL == "" || s.Key == "" || s.Secret.Empty() || s.Now == nil {
		return &stagedoor.Error{Kind: stagedoor.Internal, Err: errors.New("no LiveKit deployment to call")}
	}
	return nil
}

// call makes one call with a token of its own and reads the answer. found is
// false when LiveKit says that there is no such room or participant.
func (s *RoomService) call(ctx context.Context, method string, grant adminGrant, content any) (reply *message, found bool, err error) {
	if err := s.check(); err != nil {
		return nil, false, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	request, err := s.request(ctx, method, grant, content)
	if err != nil {
		return nil, false, err
	}
	defer inflight.Yield(ctx)()
	sent := s.Now()
	response, err := s.client().Do(request)
	if err != nil {
		return nil, false, noAnswer(tellable(ctx, err))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusUnauthorized {
		return nil, false, noAnswer(keyRefused(response.Header, sent, s.Now()))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil {
		return nil, false, noAnswer(tellable(ctx, err))
	}
	if len(body) > maxReply {
		return nil, false, noAnswer(errors.New("LiveKit's answer is longer than 10 MiB"))
	}
	return readReply(response.StatusCode, body)
}

// keyRefused is ErrKeyRefused, and says how far the clocks are apart when that
// may be the reason: LiveKit accepts a token up to a minute early or late.
//
// SPEC: livekit/protocol auth/verifier.go tokenLeeway.
func keyRefused(header http.Header, sent, received time.Time) error {
	skew, ok := clockskew.Of(header, sent, received)
	if !ok || !skew.Exceeds(30*time.Second) {
		return ErrKeyRefused
	}
	return fmt.Errorf("%w: this machine's clock is %s", ErrKeyRefused, skew.Against("LiveKit's"))
}

// request builds the call. Errors: Internal.
func (s *RoomService) request(ctx context.Context, method string, grant adminGrant, content any) (*http.Request, error) {
	token, err := s.adminToken(grant)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, &stagedoor.Error{Kind: stagedoor.Internal, Err: err}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/twirp/livekit.RoomService/"+method, bytes.NewReader(body))
	if err != nil {
		return nil, &stagedoor.Error{Kind: stagedoor.Internal, Err: errors.New("LiveKit's address is not a URL")}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	return request, nil
}

// client is the operator's client, or net/http's, that follows no redirect.
func (s *RoomService) client() *http.Client {
	var client http.Client
	if s.Client != nil {
		client = *s.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// readReply sorts an answer by its status. A 404 counts as "not there" only
// in RoomService's own words: a proxy's 404 says nothing about a participant.
//
// SPEC: twitchtv.github.io/twirp/docs/spec_v7.html, error codes.
func readReply(status int, body []byte) (*message, bool, error) {
	reply := parse(body)
	if status == http.StatusOK {
		if err := reply.failure(); err != nil {
			return nil, false, noAnswer(err)
		}
		return reply, true, nil
	}
	code := twirpCode(reply)
	if status == http.StatusNotFound && code == "not_found" {
		return nil, false, nil
	}
	return nil, false, noAnswer(fmt.Errorf("LiveKit answers %d %s", status, code))
}

// twirpCode is the error's code if it is one of Twirp's form, such as
// "unavailable": nothing else of an answer may stand in an error.
func twirpCode(reply *message) string {
	code := reply.text("code")
	if reply.failure() != nil || code == "" || len(code) > 32 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "without a code"
	}
	return code
}

// tellable is why a call failed, without bytes of the answer: net/http's
// errors may quote it.
func tellable(ctx context.Context, err error) error {
	var network *net.OpError
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("LiveKit does not answer in time: %w", ctx.Err())
	case errors.As(err, &network):
		return fmt.Errorf("LiveKit cannot be reached: %w", network)
	case errors.As(err, &certificate):
		return fmt.Errorf("LiveKit's certificate is not trusted: %w", certificate)
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("LiveKit does not answer in time")
	default:
		return errors.New("LiveKit's answer breaks off or is not HTTP")
	}
}
