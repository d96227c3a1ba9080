// Command release makes what a release of Stagedoor consists of, and shows
// where it comes from: archives that are the same bytes wherever they are
// built, a bill of materials, and the licences of everything that is shipped.
//
// It runs from the repository's root, with the go command and, for the page
// in the binary, npm beside it. Of the network it asks nothing that is in the
// module cache and in web/node_modules.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

const usage = `usage: go run ./tools/release COMMAND

  build [-out dist]   archives for six platforms, notices, SBOM and SHA256SUMS
  sbom                the bill of materials (CycloneDX 1.6, JSON)
  licences            the licence of every part that is shipped; fails on one that is not allowed
  notices             the texts of those licences
  reproducible        build this commit in two places, with caches of their own, and compare
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run does what the arguments say for the repository in the working directory.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("which command?\n%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	dir := flags.String("out", "dist", "directory of the archives")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	s := source{root: "."}
	switch args[0] {
	case "build":
		return s.release(ctx, *dir, out)
	case "reproducible":
		return s.reproducible(ctx, out)
	case "sbom", "licences", "notices":
		parts, err := s.parts(ctx)
		if err != nil {
			return err
		}
		return s.describe(ctx, args[0], parts, out)
	}
	return fmt.Errorf("there is no command %q\n%s", args[0], usage)
}

// describe writes one description of the parts.
func (s source) describe(ctx context.Context, what string, parts []part, out io.Writer) error {
	switch what {
	case "licences":
		return listLicences(out, parts)
	case "notices":
		return writeNotices(out, parts)
	}
	stamp, err := s.stamp(ctx)
	if err != nil {
		return err
	}
	return writeSBOM(out, stamp, parts)
}
