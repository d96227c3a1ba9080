package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// stamp is what a commit gives to everything that is made from it.
type stamp struct {
	version string // as the binary says it
	commit  string // abbreviated
	time    time.Time
}

// stamp asks git for the commit that is checked out.
func (s source) stamp(ctx context.Context) (stamp, error) {
	// Left to itself git abbreviates as far as this clone allows.
	// Left to itself git abbreviates as far as one clone allows.
	version, err := s.output(ctx, nil, "git", "describe", "--tags", "--always", "--abbrev=12")
	if err != nil {
		return stamp{}, err
	}
	commit, err := s.output(ctx, nil, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		return stamp{}, err
	}
	hash, seconds, _ := strings.Cut(strings.TrimSpace(string(commit)), " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return stamp{}, fmt.Errorf("git log said %q: %w", commit, err)
	}
	return stamp{strings.TrimSpace(string(version)), hash[:12], time.Unix(at, 0).UTC()}, nil
}

// The words of a bill of materials that are used here.
//
// SPEC: CycloneDX 1.6, cyclonedx.org/docs/1.6/json.
type (
	bom struct {
		Format       string      `json:"bomFormat"`
		SpecVersion  string      `json:"specVersion"`
		SerialNumber string      `json:"serialNumber"`
		Version      int         `json:"version"`
		Metadata     metadata    `json:"metadata"`
		Components   []component `json:"components"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type     string       `json:"type"`
		Ref      string       `json:"bom-ref"`
		Name     string       `json:"name"`
		Version  string       `json:"version"`
		Scope    string       `json:"scope,omitempty"`
		Hashes   []digest     `json:"hashes,omitempty"`
		Licences []licenceRef `json:"licenses"`
		PURL     string       `json:"purl"`
	}
	digest struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	licenceRef struct {
		Licence licenceID `json:"license"`
	}
	licenceID struct {
		ID string `json:"id"`
	}
)

// component returns the part as the bill lists it. The hashes are those of the
// lock files: a module's go.sum, which covers its files, and a package's archive.
func (p part) component() component {
	c := component{Type: "library", Ref: p.purl(), Name: p.name, Version: p.version, Scope: "required", PURL: p.purl()}
	if p.hash != "" {
		c.Hashes = []digest{{p.alg, p.hash}}
	}
	for _, id := range p.identifiers() {
		c.Licences = append(c.Licences, licenceRef{licenceID{id}})
	}
	return c
}

// writeSBOM writes the bill of materials: the same bytes for the same commit,
// toolchain and parts. Its serial number is made from all the rest.
func writeSBOM(out io.Writer, at stamp, parts []part) error {
	self := part{ecosystem: "golang", name: "stagedoor", version: at.version}
	b := bom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	b.Metadata = metadata{at.time.Format(time.RFC3339), component{
		Type: "application", Ref: self.purl(), Name: self.name, Version: at.version,
		Licences: []licenceRef{{licenceID{"Apache-2.0"}}}, PURL: self.purl(),
	}}
	for _, p := range parts {
		b.Components = append(b.Components, p.component())
	}
	plain, err := json.Marshal(b)
	if err != nil {
		return err
	}
	b.SerialNumber = serialNumber(plain)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(b)
}

// serialNumber makes a UUID of content. SPEC: RFC 9562 §5.8, a custom one.
func serialNumber(content []byte) string {
	sum := sha256.Sum256(content)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
