package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// allowed are the licences that need no further thought, by SPDX identifier.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// licence is one file that says under which terms a part may be passed on.
type licence struct {
	file string
	ids  []string // SPDX identifiers; none of a notice, which only has to be passed on
	text string
}

// exception is a licence that no rule here knows, or that is not on the list,
// and why it is shipped all the same.
type exception struct {
	part, file string   // file is empty where a part has no licence file at all
	ids        []string // none: what it says is of nothing that is linked
	text, why  string
}

// exceptions are all there are. TestExceptionsAreNeeded takes out what no
// longer is one.
var exceptions = []exception{
	{part: "pkg:npm/tslib", file: "LICENSE.txt", ids: []string{"0BSD"},
		why: "0BSD is ISC without the duty to keep the notice: it asks for less than what is allowed"},
	{part: "pkg:npm/machina", file: "LICENSE", ids: []string{"MIT"},
		why: "it may be had under MIT or under GPL-2.0, and is taken under MIT"},
	{part: "pkg:npm/%40bufbuild/protobuf", ids: []string{"Apache-2.0", "BSD-3-Clause"},
		text: "Copyright 2021-2024 Buf Technologies, Inc. Licensed under the Apache License, Version 2.0; parts are Copyright 2008 Google Inc. under the 3-clause BSD license.",
		why:  "its archive holds no licence file; package.json says (Apache-2.0 AND BSD-3-Clause), and so does the head of each of its files"},
	{part: "pkg:golang/modernc.org/sqlite", file: "LICENSE-SQLITE", ids: []string{"blessing"},
		why: "SQLite itself is in the public domain"},
	{part: "pkg:golang/modernc.org/sqlite", file: "LICENSE-3RD-PARTY.md", ids: []string{"BSD-3-Clause", "MIT", "blessing"},
		why: "a list of every licence in its repository: what its section 1, linked components, names is here; the MPL-2.0 text in it belongs to section 3, not compiled into anything"},
	{part: "pkg:golang/modernc.org/memory", file: "LICENSE-LOGO",
		why: "it says where a picture beside the sources is from, which is not linked"},
}

// licenceFile matches the names of files that hold terms, noticeFile those
// that only have to be passed on.
var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense|ofl)([-._].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents|copyright.*)([-._].*)?$`)
)

// sentences are words of each licence that no other has, all of them needed.
var sentences = []struct {
	id       string
	needs    []string
	excludes []string
}{
	{"Apache-2.0", []string{"apache license", "version 2.0", "http://www.apache.org/licenses/"}, nil},
	{"MIT", []string{"permission is hereby granted, free of charge, to any person obtaining a copy", "the above copyright notice and this permission notice", "the software is provided \"as is\""}, nil},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that", "the software is provided \"as is\""}, nil},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted", "used to endorse or promote products"}, []string{"advertising materials"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms, with or without modification, are permitted"}, []string{"advertising materials", "used to endorse or promote products"}},
}

// refused are words that no licence on the list contains: terms that bind
// what is built on the work, or that are none for software.
var refused = []string{
	"general public license", "mozilla public license", "eclipse public license", "european union public", "common development and distribution",
	"server side public license", "business source license", "commons clause", "elastic license", "creative commons",
	"non-commercial", "noncommercial", "shall be used for good, not evil", "all rights are reserved",
}

// classify returns the identifiers of the licences in the text, none if it
// holds words that it may not, or none that are known.
func classify(text string) []string {
	words := strings.NewReplacer("“", `"`, "”", `"`, "'", `"`, "`", `"`).Replace(strings.ToLower(text))
	plain := strings.Join(strings.Fields(words), " ")
	for _, word := range refused {
		if strings.Contains(plain, word) {
			return nil
		}
	}
	contains := func(s string) bool { return strings.Contains(plain, s) }
	var ids []string
	for _, l := range sentences {
		if !slices.ContainsFunc(l.needs, func(s string) bool { return !contains(s) }) && !slices.ContainsFunc(l.excludes, contains) {
			ids = append(ids, l.id)
		}
	}
	return ids
}

// licencesOf reads the licences of a part. A part without one, or with one that
// is not known and no exception, is an error.
func licencesOf(p part) ([]licence, error) {
	var found []licence
	for _, dir := range p.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w (npm ci in web/ and go mod download bring what is missing)", p.purl(), err)
		}
		for _, entry := range entries {
			terms := licenceFile.MatchString(entry.Name())
			if entry.IsDir() || strings.HasSuffix(entry.Name(), ".go") || !terms && !noticeFile.MatchString(entry.Name()) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(p.dirs[0], filepath.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			l := licence{file: filepath.ToSlash(name), text: string(text)}
			if terms {
				e, known := p.exception(l.file)
				if l.ids = e.ids; !known {
					l.ids = classify(l.text)
				}
				if !known && len(l.ids) == 0 {
					return nil, fmt.Errorf("%s: the licence in %s is not known, or not allowed", p.purl(), l.file)
				}
			}
			found = append(found, l)
		}
	}
	if !slices.ContainsFunc(found, func(l licence) bool { return len(l.ids) > 0 }) {
		e, ok := p.exception("")
		if !ok {
			return nil, fmt.Errorf("%s has no licence", p.purl())
		}
		found = append(found, licence{ids: e.ids, text: e.text})
	}
	return found, nil
}

// exception returns what is written of the part's file.
func (p part) exception(file string) (exception, bool) {
	i := slices.IndexFunc(exceptions, func(e exception) bool { return p.purl() == e.part+"@"+p.version && e.file == file })
	if i < 0 {
		return exception{}, false
	}
	return exceptions[i], true
}

// identifiers returns the part's licences, sorted, each once.
func (p part) identifiers() []string {
	var ids []string
	for _, l := range p.licences {
		ids = append(ids, l.ids...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// listLicences prints one line a part, and after them every exception.
func listLicences(out io.Writer, parts []part) error {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%-75s %s\n", p.purl(), strings.Join(p.identifiers(), ", "))
	}
	fmt.Fprintf(&b, "\n%d parts. Allowed: %s. Beside these:\n", len(parts), strings.Join(allowed, ", "))
	for _, e := range exceptions {
		fmt.Fprintf(&b, "  %s (%s): %s\n", e.part, strings.Join(e.ids, ", "), e.why)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeNotices prints the texts that have to go with the binary.
func writeNotices(out io.Writer, parts []part) error {
	var b strings.Builder
	b.WriteString("Stagedoor is licensed under the Apache License 2.0 (LICENSE). What is linked or\nbundled into it is listed here with its own terms.\n")
	for _, p := range parts {
		for _, l := range p.licences {
			fmt.Fprintf(&b, "\n%s\n%s %s\n", strings.Repeat("=", 79), p.purl(), l.file)
			fmt.Fprintf(&b, "%s\n\n%s\n", strings.Repeat("=", 79), strings.TrimSpace(strings.ReplaceAll(l.text, "\r\n", "\n")))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
