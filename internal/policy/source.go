package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"stagedoor"
)

// SourceOptions say where the policy comes from. With neither Path nor BuiltIn
// the policy is Default.
type SourceOptions struct {
	// Path is the policy file; empty means none.
	Path string
	// BuiltIn is the text of a policy that is used without a Path; may be empty.
	BuiltIn string
	// Limits are what the policy inherits from the configuration.
	Limits Limits
	// Configured are the issuers that the configuration names. A file whose
	// issuers could be mistaken for one of them is refused.
	Configured []ConfiguredIssuer
	// Log gets what Watch does; nil discards it.
	Log *slog.Logger
}

// ConfiguredIssuer is an issuer of callers' tokens that the configuration names.
type ConfiguredIssuer struct {
	// Variable is the prefix of its variables, such as OIDC.
	Variable string
	// Issuer is the iss claim of its tokens, Prefix its identity prefix.
	Issuer, Prefix string
}

// Source is the policy in force: that of a file, which may change while the
// server runs, or Default. Deciding is safe for concurrent use; Watch may run once.
type Source struct {
	options SourceOptions
	// without decides where there is no file.
	without Default
	file    atomic.Pointer[File]
	watched watched
	loaded  atomic.Int64 // when the policy in force was read, in Unix milliseconds
	refused atomic.Int64 // reloads that failed
}

// UnreadableError says that a policy file cannot be read, and why.
type UnreadableError struct {
	// Path is the file, Err continues a sentence that begins with it.
	Path string
	Err  error
}

// Error returns one sentence, such as "policy.yaml is not a file".
func (e *UnreadableError) Error() string { return e.Path + " " + e.Err.Error() }

// Unwrap returns the cause.
func (e *UnreadableError) Unwrap() error { return e.Err }

// Open reads the policy and runs its examples. The error is an UnreadableError
// when the file cannot be read; otherwise it lists every mistake in the file,
// one a line.
func Open(o SourceOptions) (*Source, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Source{options: o, without: Default{PublishFeature: o.Limits.PublishFeature, TTL: o.Limits.TTL}}
	s.loaded.Store(time.Now().UnixMilli())
	name, data := "demo-policy.yaml", []byte(o.BuiltIn)
	if o.Path != "" {
		var err error
		if data, err = readRegular(o.Path); err != nil {
			return nil, &UnreadableError{Path: o.Path, Err: err}
		}
		name = o.Path
	}
	if o.Path == "" && o.BuiltIn == "" {
		return s, nil
	}
	f, err := Compile(name, data, o.Limits)
	if err != nil {
		return nil, err
	}
	if err := conflicts(name, f.issuers, o.Configured); err != nil {
		return nil, err
	}
	s.file.Store(f)
	s.watched.tried, s.watched.inForce = data, data
	return s, nil
}

// Compile parses a policy file and runs its examples. The error lists every
// mistake, one a line. name is what the mistakes call the file.
func Compile(name string, data []byte, limits Limits) (*File, error) {
	f, err := Parse(name, data, limits)
	if err != nil {
		return nil, err
	}
	var failed []string
	for _, o := range f.Test() {
		if !o.OK {
			failed = append(failed, stagedoor.Printable(fmt.Sprintf(
				"%s:%d: the example fails: %s: expected is %s, and it is %s", name, o.Line, o.What, o.Want, o.Got)))
		}
	}
	if len(failed) > 0 {
		return nil, errors.New(strings.Join(failed, "\n"))
	}
	return f, nil
}

// Path returns the policy file; empty when there is none.
func (s *Source) Path() string { return s.options.Path }

// File returns the policy file in force; nil when there is none.
func (s *Source) File() *File { return s.file.Load() }

// Loaded returns when the policy in force was read, and how many reloads have
// failed since the start.
func (s *Source) Loaded() (at time.Time, failed int64) {
	return time.UnixMilli(s.loaded.Load()), s.refused.Load()
}

// Decide decides by the policy in force. Errors: RoomForbidden.
func (s *Source) Decide(situation stagedoor.Situation) (stagedoor.Decision, error) {
	if f := s.file.Load(); f != nil {
		return f.Decide(situation)
	}
	return s.without.Decide(situation)
}

// Explain says step by step what Decide does; nothing without a file.
func (s *Source) Explain(situation stagedoor.Situation) []stagedoor.Step {
	if f := s.file.Load(); f != nil {
		return f.Explain(situation)
	}
	return nil
}

// DefaultRoom returns the room of a request that names none; empty means that
// such a request is refused.
func (s *Source) DefaultRoom() stagedoor.Room {
	if f := s.file.Load(); f != nil {
		return f.DefaultRoom()
	}
	return ""
}

// Issuers returns the issuers that the file names.
func (s *Source) Issuers() []Issuer {
	if f := s.file.Load(); f != nil {
		return f.Issuers()
	}
	return nil
}

// conflicts lists the issuers of the file whose callers could be mistaken for
// those of a configured issuer, one a line; nil when there are none.
func conflicts(name string, file []Issuer, configured []ConfiguredIssuer) error {
	const confused = ": callers of both could take each other's identity"
	var found []error
	for _, i := range file {
		add := func(what, remedy string) {
			what = fmt.Sprintf("the issuer in line %d %s", i.Line, what)
			found = append(found, Fault{File: name, What: what, Remedy: remedy})
		}
		for _, other := range configured {
			prefix := other.Variable + "_IDENTITY_PREFIX"
			switch {
			case i.Issuer == other.Issuer:
				add("is "+other.Variable+"_ISSUER too", "keep one of them")
			case i.IdentityPrefix != other.Prefix:
			case i.IdentityPrefix == "":
				add("has no identity_prefix, and there is no "+prefix+confused, "give it identity_prefix: partner")
			default:
				add("has the identity_prefix that is "+prefix+confused, "choose two prefixes")
			}
		}
	}
	return errors.Join(found...)
}

// maxFileBytes is one byte more than a policy file may have.
const maxFileBytes = 1<<20 + 1

// readRegular reads a policy file. The error continues a sentence that begins
// with the file's name.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // reading a pipe could block for ever
		return nil, errors.New("is not a file")
	}
	if err != nil {
		return nil, CannotRead(err)
	}
	return ReadFile(path)
}

// ReadFile reads a policy file, or a pipe, up to one byte more than a policy
// file may have. The error continues a sentence that begins with the file's name.
func ReadFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, CannotRead(err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes))
	if err != nil {
		return nil, CannotRead(err)
	}
	return data, nil
}

// CannotRead words an error of the file system without the file's name, which
// the sentence has already.
func CannotRead(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
