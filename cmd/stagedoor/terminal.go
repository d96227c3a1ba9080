package main

import (
	"io"
	"os"
	"strings"
)

// terminal reports whether w is one: then output may move and be coloured.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// coloured reports whether to colour what is written to w.
//
// SPEC: no-color.org.
func coloured(w io.Writer, environ []string) bool {
	for _, pair := range environ {
		if name, value, _ := strings.Cut(pair, "="); (name == "NO_COLOR" && value != "") || pair == "TERM=dumb" {
			return false
		}
	}
	return terminal(w)
}

// paint gives text one ANSI attribute, or leaves it plain.
func paint(on bool, attribute, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}
