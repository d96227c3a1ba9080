package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"stagedoor"
	"stagedoor/internal/config"
)

// Whatever a part of the program writes into the log, and in whatever type:
// one line, which steers no terminal and forges no second one.
func TestLogTakesNoInjection(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		for _, evil := range []string{
			"a\r\nb", "a\nlevel=ERROR msg=forged", "a\",\"forged\":\"b", "\x1b[2J\x1b[31m", "\u009b31m", "a\u2028b\u2029c", "a\u202eb", "\x00", "\x7f", "\ufeff", "\u200b", "\u0085x", "\xff",
		} {
			var out bytes.Buffer
			log := newLogger(&config.Config{LogFormat: format}, &out)
			log.With("with", evil).WithGroup("group").Error(evil, "text", evil, "err", errors.New(evil), "list", []string{evil}, "inner", slog.GroupValue(slog.String("deep", evil)),
				"secret", stagedoor.NewSecret(evil), "room", stagedoor.Room(evil), "identity", stagedoor.Identity(evil))
			text := strings.TrimSuffix(out.String(), "\n")
			if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.Contains(text, `,"forged":"b`) || strings.Contains(text, " level=ERROR msg=forged ") {
				t.Errorf("%s, %q: %q", format, evil, text)
			}
		}
	}
}
