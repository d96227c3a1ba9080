// Package livekit speaks LiveKit's language: it signs access tokens, calls
// RoomService and verifies the events that LiveKit sends.
package livekit

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"stagedoor"
)

// backdate is how far before now a token becomes valid, so that a LiveKit
// server or client whose clock is a little behind takes it at once. LiveKit
// Cloud revokes by nbf, so it must stay small.
const backdate = 10 * time.Second

// header is the JOSE header of every token.
//
// SPEC: LiveKit accepts HS256 alone (livekit/protocol auth/verifier.go).
var header = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// Signer signs LiveKit access tokens with one API key. The zero value
// refuses to sign. Safe for concurrent use.
type Signer struct {
	Key    string
	Secret stagedoor.Secret
	// Now is the clock.
	Now func() time.Time
}

// claims are everything a token of ours says. There is no field for kind,
// sip, agent or inference: they are privileges.
//
// SPEC: livekit/protocol auth/accesstoken.go and auth/grants.go; RFC 7519 §4.1.
type claims struct {
	Issuer    string     `json:"iss"`
	Subject   string     `json:"sub"`
	IssuedAt  int64      `json:"iat"`
	NotBefore int64      `json:"nbf"`
	ExpiresAt int64      `json:"exp"`
	ID        string     `json:"jti"`
	Name      string     `json:"name,omitempty"`
	Video     videoGrant `json:"video"`
	// What a policy let the caller ask for.
	Metadata   string            `json:"metadata,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	RoomConfig *roomConfig       `json:"roomConfig,omitempty"`
}

// roomConfig asks for agents and caps the room, which LiveKit heeds when the
// token opens it; nothing else of LiveKit's RoomConfiguration has a field.
type roomConfig struct {
	MaxParticipants int             `json:"maxParticipants,omitempty"`
	Agents          []agentDispatch `json:"agents,omitempty"`
}

type agentDispatch struct {
	Name     string `json:"agentName"`
	Metadata string `json:"metadata,omitempty"`
}

// videoGrant writes every permission out, since LiveKit reads an absent
// canPublish, canSubscribe or canPublishData as granted.
type videoGrant struct {
	Room                 string             `json:"room"`
	RoomJoin             bool               `json:"roomJoin"`
	CanPublish           bool               `json:"canPublish"`
	CanSubscribe         bool               `json:"canSubscribe"`
	CanPublishData       bool               `json:"canPublishData"`
	CanUpdateOwnMetadata bool               `json:"canUpdateOwnMetadata"`
	CanPublishSources    []stagedoor.Source `json:"canPublishSources,omitempty"`
}

// Sign signs the token that says exactly what the admission grants, valid
// from ten seconds ago until its TTL from now. Errors: Internal, when the
// admission lacks a room, an identity, a positive TTL or a consistent list of
// sources, or the signer its key.
func (s *Signer) Sign(a stagedoor.Admission) (stagedoor.Token, error) {
	if err := s.check(a); err != nil {
		return stagedoor.Token{}, &stagedoor.Error{Kind: stagedoor.Internal, Err: err}
	}
	now := s.Now()
	video := videoGrant{
		Room: string(a.Room), RoomJoin: true,
		CanPublish: a.Grants.Publish, CanSubscribe: a.Grants.Subscribe,
		CanPublishData: a.Grants.PublishData, CanUpdateOwnMetadata: a.Grants.UpdateOwnMetadata,
	}
	if a.Grants.Publish {
		video.CanPublishSources = a.Grants.Sources
	}
	var config *roomConfig
	if len(a.Agents) > 0 || a.MaxParticipants > 0 {
		config = &roomConfig{MaxParticipants: a.MaxParticipants}
		for _, agent := range a.Agents {
			config.Agents = append(config.Agents, agentDispatch{agent.Name, agent.Metadata})
		}
	}
	return seal(s.Secret, claims{
		Metadata: a.Metadata, Attributes: a.Attributes, RoomConfig: config,
		Issuer: s.Key, Subject: string(a.Identity), ID: rand.Text(), Name: a.Name,
		IssuedAt: now.Unix(), NotBefore: now.Add(-backdate).Unix(), ExpiresAt: now.Add(a.TTL).Unix(),
		Video: video,
	})
}

// seal signs a payload: claims for participants, adminClaims for the door
// itself. Errors: Internal.
func seal[C claims | adminClaims](secret stagedoor.Secret, content C) (stagedoor.Token, error) {
	payload, err := json.Marshal(content)
	if err != nil {
		return stagedoor.Token{}, &stagedoor.Error{Kind: stagedoor.Internal, Err: err}
	}
	signed := header + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := jwt.SigningMethodHS256.Sign(signed, []byte(secret.Reveal()))
	if err != nil {
		return stagedoor.Token{}, &stagedoor.Error{Kind: stagedoor.Internal, Err: err}
	}
	return stagedoor.NewToken(signed + "." + base64.RawURLEncoding.EncodeToString(signature)), nil
}

// check refuses what LiveKit would read as more than was meant.
func (s *Signer) check(a stagedoor.Admission) error {
	switch {
	case s.Key == "" || s.Secret.Empty():
		return errors.New("no LiveKit API key to sign with")
	case a.Room == "" || a.Identity == "":
		return errors.New("an admission without room or identity")
	case a.TTL < time.Second:
		return errors.New("an admission without a positive TTL")
	}
	texts := []string{string(a.Room), string(a.Identity), a.Name, a.Metadata}
	for name, value := range a.Attributes {
		texts = append(texts, name, value)
	}
	for _, agent := range a.Agents {
		if agent.Name == "" {
			return errors.New("an agent without a name")
		}
		texts = append(texts, agent.Name, agent.Metadata)
	}
	for _, text := range texts {
		// The encoder would replace broken bytes, and one participant become another.
		if !utf8.ValidString(text) {
			return errors.New("an admission with text that is not UTF-8")
		}
	}
	return checkSources(a.Grants)
}

// checkSources refuses a list of sources that LiveKit would read as another.
func checkSources(g stagedoor.Grants) error {
	if g.Publish && g.Sources != nil && len(g.Sources) == 0 {
		// An empty list means every source.
		return errors.New("publishing granted with an empty list of sources")
	}
	known := stagedoor.AllSources()
	for _, source := range g.Sources {
		if !slices.Contains(known, source) {
			return fmt.Errorf("unknown source %q", source)
		}
	}
	return nil
}
