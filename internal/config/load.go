package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"stagedoor"
)

// fileSuffix makes the name of the variable that holds a secret's file.
const fileSuffix = "_FILE"

// defaultEnvFile is read if it exists.
const defaultEnvFile = ".env"

// Load reads the configuration for mode from environ ("K=V" entries, as of
// os.Environ), from the .env file and from NAME_FILE variables. envFile names
// the .env file, which must exist; empty means ".env" in the working
// directory, which need not. A variable in environ wins over the file even
// when it is empty, and an empty value is no value.
//
// The Report is never nil. The Config is nil exactly when Report.Err is not,
// so that a configuration nobody checked cannot be used.
func Load(mode Mode, environ []string, envFile string) (*Config, *Report) {
	c, report := read(mode, environ, envFile)
	if report.Err() != nil {
		return nil, report
	}
	return c, report
}

// Inspect is Load for Serve with the Config even where the Report stops the
// start: for a command that says what else can be said. A field whose value
// was refused is zero, and no field is to be served with.
func Inspect(environ []string, envFile string) (*Config, *Report) {
	return read(Serve, environ, envFile)
}

func read(mode Mode, environ []string, envFile string) (*Config, *Report) {
	l := &loader{mode: mode, config: &Config{Mode: mode}, report: &Report{},
		settings: map[string]setting{}, given: map[string]bool{}, bad: map[string]bool{}}
	l.readEnviron(environ)
	l.readEnvFile(envFile)
	l.checkNames()
	l.parseAll()
	l.checkLiveKit()
	if !l.tool() {
		l.checkListener()
		l.checkCallers()
		l.checkBilling()
		l.checkAdmin()
		l.checkEqual()
	}
	if l.mode == Operate || l.mode == Offline {
		l.defaultPrefix()
	}
	l.checkDatabase()
	l.checkStrength()
	l.report.sort(l.names())
	l.config.Platform = l.platform()
	return l.config, l.report
}

// loader carries one Load.
type loader struct {
	mode     Mode
	config   *Config
	report   *Report
	settings map[string]setting
	// given names the variables that have a value, well-formed or not.
	given map[string]bool
	// bad names those of them whose value was refused: other rules must not
	// complain about them again.
	bad map[string]bool
}

// setting is one variable as found.
type setting struct {
	value    string
	fromFile bool // in the .env file, not in the real environment
}

// tool reports whether the configuration is for a command beside the door.
func (l *loader) tool() bool { return l.mode == Tool || l.mode == Operate || l.mode == Offline }

func (l *loader) problem(name, what, remedy string) {
	l.report.Problems = append(l.report.Problems, Problem{Name: name, What: what, Remedy: remedy})
}

func (l *loader) warn(name, what, remedy string) {
	l.report.Warnings = append(l.report.Warnings, Problem{Name: name, What: what, Remedy: remedy})
}

// readEnviron takes the real environment; as in the operating system's own
// look-up, the first of several entries counts.
func (l *loader) readEnviron(environ []string) {
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if _, again := l.settings[name]; ok && name != "" && !again {
			l.settings[name] = setting{value: value}
		}
	}
}

// readEnvFile adds what the real environment leaves open.
func (l *loader) readEnvFile(path string) {
	explicit, name := path != "", "--env-file"
	if !explicit {
		path, name = defaultEnvFile, defaultEnvFile
	}
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		return
	}
	if err != nil {
		l.problem(name, "cannot be read: "+reason(err), "")
		return
	}
	pairs, err := ParseEnv(data)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			l.problem(name, line, "")
		}
		return
	}
	for _, pair := range pairs {
		if _, ok := l.settings[pair.Name]; !ok {
			l.settings[pair.Name] = setting{value: pair.Value.Reveal(), fromFile: true}
		}
	}
}

// readFile reads a small file; one byte more than is allowed is left to the
// caller to notice.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxEnvFile+1))
}

// reason says why a file could not be read, without its path: a secret
// assigned to NAME_FILE by mistake would be printed as one.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return "reading failed"
}

// fields returns the fields of Config that a variable sets, in order.
func fields() []reflect.StructField {
	var list []reflect.StructField
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.Tag.Get("env") != "" {
			list = append(list, f)
		}
	}
	return list
}

// isSecret reports whether f holds one or several secrets.
func isSecret(f reflect.StructField) bool {
	return f.Type == reflect.TypeFor[stagedoor.Secret]() || f.Type == reflect.TypeFor[[]stagedoor.Secret]()
}

// parseAll sets every field.
func (l *loader) parseAll() {
	for _, f := range fields() {
		name := f.Tag.Get("env")
		raw, p := l.raw(f)
		l.given[name] = raw != "" || p != nil
		if p == nil && l.given[name] && f.Tag.Get("later") == "refuse" && !l.tool() {
			p = notSupported("")
		}
		if raw == "" {
			raw = f.Tag.Get("default")
		}
		into := reflect.ValueOf(l.config).Elem().FieldByIndex(f.Index)
		if p == nil && raw != "" {
			p = parse(f, raw, into)
		}
		if p == nil {
			continue
		}
		l.bad[name] = true
		if isSecret(f) && !l.needs(name) {
			// The command does without it, and its user may well not be
			// allowed to read it.
			l.warn(name, p.What, p.Remedy)
			continue
		}
		l.problem(name, p.What, p.Remedy)
	}
}

// needs reports whether the mode cannot do without a secret that is given.
func (l *loader) needs(secret string) bool {
	switch l.mode {
	case Tool:
		return secret == "LIVEKIT_API_SECRET"
	case Offline:
		return false
	case Operate:
		// A door that is named is asked, and then no database is opened.
		return secret == "ADMIN_TOKEN" || secret == "DATABASE_URL" && l.settings["ADMIN_URL"].value == ""
	}
	return true
}

// raw returns the text that sets f, "" if nothing does.
func (l *loader) raw(f reflect.StructField) (string, *Problem) {
	name := f.Tag.Get("env")
	value := l.settings[name].value
	path := l.settings[name+fileSuffix].value
	if !isSecret(f) || path == "" {
		return value, nil
	}
	if value != "" {
		return "", &Problem{What: "is set twice, as " + name + " and as " + name + fileSuffix, Remedy: "unset one of them"}
	}
	data, err := readFile(path)
	switch {
	case err != nil:
		return "", &Problem{What: "cannot be read from the file that " + name + fileSuffix + " names: " + reason(err)}
	case len(data) > maxEnvFile:
		return "", &Problem{What: "is in a file larger than 64 KiB"}
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", &Problem{What: "is in a file that is empty"}
	}
	return text, nil
}
