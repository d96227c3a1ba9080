package demostripe

import (
	"fmt"
	"net/http"
	"strings"
)

// fault is an error of the API. Every one is the asker's.
//
// SPEC: docs.stripe.com/api/errors.
type fault struct {
	status               int
	message, code, param string
}

func (f *fault) body() []byte {
	inner := object{"type": "invalid_request_error", "message": f.message}
	if f.code != "" {
		inner["code"] = f.code
		inner["doc_url"] = "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(f.code, "_", "-")
	}
	if f.param != "" {
		inner["param"] = f.param
	}
	return marshal(object{"error": inner})
}

func unauthorized() *fault {
	return &fault{status: http.StatusUnauthorized, message: "Invalid API Key provided. This is stagedoor's demo of Stripe, which takes its own key alone."}
}

func unrecognized(method, path string) *fault {
	return &fault{status: http.StatusNotFound, message: fmt.Sprintf(
		"Unrecognized request URL (%s: %s). This is stagedoor's demo of Stripe: it can be read, in part, and not be written.", method, path)}
}

// missing is 404 for what an address names and 400 for what a parameter names.
//
// SPEC: docs.stripe.com/error-codes#resource-missing.
func missing(status int, noun, id, param string) *fault {
	return &fault{status: status, code: "resource_missing", param: param, message: fmt.Sprintf("No such %s: '%s'", noun, id)}
}

func unknown(name string) *fault {
	return &fault{status: http.StatusBadRequest, code: "parameter_unknown", param: name, message: "Received unknown parameter: " + name}
}

func invalid(name, code, message string) *fault {
	return &fault{status: http.StatusBadRequest, code: code, param: name, message: message}
}

func oneOf(name string, words []string) *fault {
	return invalid(name, "", fmt.Sprintf("Invalid %s: must be one of %s", name, strings.Join(words, ", ")))
}
