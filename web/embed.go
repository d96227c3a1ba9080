// Package web embeds the demo room page that Vite builds into dist.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Page returns the built page: index.html and assets/. Without a build it is
// empty but for a placeholder.
func Page() fs.FS {
	page, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the path is fixed and valid
	}
	return page
}
