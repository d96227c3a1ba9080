package main

import (
	"fmt"
	"time"

	"golang.org/x/text/unicode/norm"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/livekit"
)

type tokenCmd struct {
	Room     string        `required:"" help:"The room to join."`
	Identity string        `required:"" help:"The participant's identity."`
	Publish  bool          `help:"May publish; without it the token may only watch."`
	TTL      time.Duration `default:"10m" help:"How long the token may be used to connect, 2m to 24h."`
}

// Run prints one token. It does not go through the door: whoever holds the
// LiveKit secret needs no permission.
func (c *tokenCmd) Run(a *app) error {
	if c.TTL < 2*time.Minute || c.TTL > 24*time.Hour {
		return failure{exitUsage, fmt.Errorf("--ttl must be from 2m to 24h")}
	}
	room, err := stagedoor.ParseRoom(norm.NFC.String(c.Room))
	if err != nil {
		return failure{exitUsage, fmt.Errorf("--room: %w", err)}
	}
	identity, err := stagedoor.Principal{Issuer: "operator", Subject: c.Identity, Handle: c.Identity}.Identity(nil)
	if err != nil {
		return failure{exitUsage, fmt.Errorf("--identity: %w", err)}
	}
	cfg, _, err := a.configure(config.Tool)
	if err != nil {
		return err
	}
	signer := &livekit.Signer{Key: cfg.LiveKitAPIKey, Secret: cfg.LiveKitAPISecret, Now: a.now}
	token, err := signer.Sign(stagedoor.Admission{Room: room, Identity: identity, TTL: c.TTL,
		Grants: stagedoor.Grants{Subscribe: true, Publish: c.Publish, PublishData: c.Publish}})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, token.Reveal())
	return err
}
