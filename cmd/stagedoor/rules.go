package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"stagedoor"
	"stagedoor/internal/config"
	"stagedoor/internal/policy"
)

// rules are the policy in force: that of a file, which may be replaced while
// the door runs, or the one without a file. Safe for concurrent use; what
// watches the file is one goroutine's.
type rules struct {
	// path is the file; empty: there is none to watch.
	path   string
	limits policy.Limits
	// without decides where there is no file.
	without policy.Default
	file    atomic.Pointer[policy.File]
	watched watched
	// loaded is when the policy in force was read, in milliseconds since 1970;
	// refused counts the files that were not taken since.
	loaded, refused atomic.Int64
}

// limitsOf are what policy files inherit from the configuration.
func limitsOf(cfg *config.Config) policy.Limits {
	return policy.Limits{PublishFeature: stagedoor.Feature(cfg.PublishFeature), TTL: cfg.TokenTTL, PrivateHost: config.PrivateHost}
}

// loadRules reads and tries the policy file that the configuration names,
// else takes the text that is built in; without either the policy is the one
// without a file. What is wrong with a file is printed, one mistake a line.
func (a *app) loadRules(cfg *config.Config, builtIn string) (*rules, error) {
	limits := limitsOf(cfg)
	r := &rules{path: cfg.PolicyFile, limits: limits, without: policy.Default{PublishFeature: limits.PublishFeature, TTL: limits.TTL}}
	if r.path == "" && builtIn == "" {
		r.loaded.Store(time.Now().UnixMilli())
		return r, nil
	}
	name, data := "demo-policy.yaml", []byte(builtIn)
	if r.path != "" {
		var err error
		if data, err = readRegular(r.path); err != nil {
			return nil, failure{exitUsage, fmt.Errorf("POLICY_FILE: %s %w", r.path, err)}
		}
		name = r.path
	}
	f, err := compile(name, data, limits)
	if err == nil {
		err = clashes(cfg, name, f.Issuers())
	}
	if err != nil {
		_, _ = fmt.Fprintln(a.err, err)
		return nil, failure{exitUsage, errors.New("the policy file is refused")}
	}
	r.file.Store(f)
	r.loaded.Store(time.Now().UnixMilli())
	r.watched.taken, r.watched.inForce = data, data
	return r, nil
}

// compile reads a policy file and runs its examples. The error is one mistake
// a line.
func compile(name string, data []byte, limits policy.Limits) (*policy.File, error) {
	f, err := policy.Parse(name, data, limits)
	if err != nil {
		return nil, err
	}
	var failed []string
	for _, o := range f.Test() {
		if !o.OK {
			failed = append(failed, stagedoor.Printable(fmt.Sprintf("%s:%d: the example fails: %s: expected is %s, and it is %s", name, o.Line, o.What, o.Want, o.Got)))
		}
	}
	if len(failed) > 0 {
		return nil, errors.New(strings.Join(failed, "\n"))
	}
	return f, nil
}

// maxPolicy is more than a policy file may have, in bytes.
const maxPolicy = 1<<20 + 1

// readRegular reads a policy file. The error continues a sentence that begins
// with the file's name.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, errors.New("is not a file")
	}
	if err != nil {
		return nil, cannotRead(err)
	}
	return readPolicy(path)
}

// readPolicy reads a policy file, a pipe too.
func readPolicy(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, cannotRead(err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxPolicy))
	if err != nil {
		return nil, cannotRead(err)
	}
	return data, nil
}

// cannotRead leaves out what the sentence has already: the file's name.
func cannotRead(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// Decide decides by the rules in force. Errors: RoomForbidden.
func (r *rules) Decide(s stagedoor.Situation) (stagedoor.Decision, error) {
	if f := r.file.Load(); f != nil {
		return f.Decide(s)
	}
	return r.without.Decide(s)
}

// explain says step by step what Decide does; nothing without a file.
func (r *rules) explain(s stagedoor.Situation) []stagedoor.Step {
	if f := r.file.Load(); f != nil {
		return f.Explain(s)
	}
	return nil
}

// defaultRoom is the room of a request that names none; empty: there is none.
func (r *rules) defaultRoom() stagedoor.Room {
	if f := r.file.Load(); f != nil {
		return f.DefaultRoom()
	}
	return ""
}

// issuers are those that the file names beside the configuration's.
func (r *rules) issuers() []policy.Issuer {
	if f := r.file.Load(); f != nil {
		return f.Issuers()
	}
	return nil
}

// keep leaves a principal what decisions can read of the claims: those at the
// paths, and those that the rules name. A rule's name is a claim's whole name,
// never a path: what is kept of a path must not pass for a claim of that name.
func (r *rules) keep(p stagedoor.Principal, paths []string) stagedoor.Principal {
	claims := p.Claims
	f := r.file.Load()
	if f == nil {
		p.Claims, p.ClaimNames = claims.Keep(paths), []string{}
		return p
	}
	names, all := f.Claims()
	if all {
		return p
	}
	kept := claims.Keep(paths)
	for _, name := range names {
		delete(kept, name)
		if value, ok := claims[name]; ok {
			kept[name] = value
		}
	}
	p.Claims, p.ClaimNames = unhidden(kept, claims, paths), append([]string{}, names...)
	return p
}

// unhidden puts back what a path led to where a rule's claim has the path's
// name: whole, under its own name, where the path finds it again.
func unhidden(kept, claims stagedoor.Claims, paths []string) stagedoor.Claims {
	for _, path := range paths {
		value, there := claims.At(path)
		if found, _ := kept.At(path); !there || path == "" || reflect.DeepEqual(found, value) {
			continue
		}
		for name, value := range claims {
			if strings.HasPrefix(path, name+".") {
				kept[name] = value
			}
		}
	}
	return kept
}

// clashes says which issuers of the file would not be told apart from the
// environment's, one a line; nil where none.
func clashes(cfg *config.Config, name string, file []policy.Issuer) error {
	type known struct{ variable, id, prefix string }
	var environment []known
	if !cfg.JWTSecret.Empty() {
		environment = append(environment, known{"JWT", cfg.JWTIssuer, cfg.JWTIdentityPrefix})
	}
	if cfg.OIDCIssuer != "" {
		environment = append(environment, known{"OIDC", cfg.OIDCIssuer, cfg.OIDCIdentityPrefix})
	}
	var found []error
	for _, i := range file {
		add := func(what, remedy string) {
			found = append(found, policy.Fault{File: name, What: fmt.Sprintf("the issuer in line %d %s", i.Line, what), Remedy: remedy})
		}
		for _, other := range environment {
			switch {
			case i.Issuer == other.id:
				add("is "+other.variable+"_ISSUER too", "keep one of them")
			case i.IdentityPrefix != other.prefix:
			case i.IdentityPrefix == "":
				add("has no identity_prefix, and there is no "+other.variable+"_IDENTITY_PREFIX: callers of both could take each other's identity", "give it identity_prefix: partner")
			default:
				add("has the identity_prefix that is "+other.variable+"_IDENTITY_PREFIX: callers of both could take each other's identity", "choose two prefixes")
			}
		}
	}
	return errors.Join(found...)
}
