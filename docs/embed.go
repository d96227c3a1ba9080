// Package docs embeds the description of the API, so that the door can serve it.
package docs

import _ "embed"

// OpenAPI is openapi.yaml as it is.
//
//go:embed openapi.yaml
var OpenAPI []byte
