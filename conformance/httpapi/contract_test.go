package httpapi

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"stagedoor"
	"stagedoor/docs"
)

func init() {
	// The two files are served as they are: to the contract each is a string.
	openapi3filter.RegisterBodyDecoder("text/javascript", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder)
}

// contract is the document and what of it the answers judged so far have used.
type contract struct {
	doc  *openapi3.T
	used map[string]bool
}

// read parses and validates the document, its examples included.
func read(document []byte) (contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return contract{}, err
	}
	if doc.OpenAPI != "3.0.3" {
		return contract{}, fmt.Errorf("OpenAPI %s", doc.OpenAPI)
	}
	err = doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation(),
		openapi3.EnableSchemaPatternValidation(), openapi3.ProhibitExtensionsWithRef())
	return contract{doc: doc, used: map[string]bool{}}, err
}

// mustRead is the contract as it is served.
func mustRead(t *testing.T) contract {
	t.Helper()
	c, err := read(docs.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// operation finds the operation that a call is for, if the contract has it.
// HEAD is GET without a body.
func (c contract) operation(method, path string) *openapi3.Operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if item := c.doc.Paths.Value(path); item != nil {
		return item.GetOperation(method)
	}
	return nil
}

// response finds what the contract says of an answer, and where. Another
// method is answered as the default of the address, another address as the
// document's introduction says.
func (c contract) response(a answer) (*openapi3.Response, string) {
	path, _, _ := strings.Cut(a.path, "?")
	operation, item := c.operation(a.method, path), c.doc.Paths.Value(path)
	at, status := a.method+" "+path, strconv.Itoa(a.status)
	if a.method == http.MethodHead {
		at = "GET " + path
	}
	if operation == nil {
		name := "Refused"
		if a.status == http.StatusPermanentRedirect {
			name = "ToHTTPS"
		}
		ref := c.doc.Components.Responses[name]
		if item == nil || name == "ToHTTPS" {
			if ref == nil {
				return nil, name
			}
			return ref.Value, name
		}
		for method, only := range item.Operations() {
			operation, at, status = only, method+" "+path, "default"
		}
	}
	ref := operation.Responses.Value(status)
	if ref == nil {
		ref, status = operation.Responses.Default(), "default"
	}
	if ref == nil {
		return nil, at
	}
	return ref.Value, at + " " + status
}

// inDefault are the codes that an operation need not list a status for.
var inDefault = []string{"not_found", "method_not_allowed"}

// judge lists what is wrong with one answer and notes what it used.
func (c contract) judge(a answer) []string {
	var faults []string
	fault := func(format string, args ...any) {
		faults = append(faults, a.String()+": "+fmt.Sprintf(format, args...))
	}
	response, at := c.response(a)
	if response == nil {
		return []string{a.String() + ": no response of " + at + " is for " + strconv.Itoa(a.status)}
	}
	c.used[at] = true
	if strings.HasSuffix(at, "default") && a.body != nil && !slices.Contains(inDefault, a.text("code")) {
		fault("%d %s has to be listed and is left to the default", a.status, a.text("code"))
	}
	for name, header := range response.Headers {
		if a.header.Get(name) != "" {
			c.used[at+" "+name] = true
		} else if header.Value.Required {
			fault("no %s", name)
		}
	}
	listed := slices.Collect(maps.Keys(response.Headers))
	for name := range a.header {
		same := func(other string) bool { return strings.EqualFold(other, name) }
		if !slices.ContainsFunc(listed, same) && !slices.Contains(unlisted, name) {
			fault("%s is not in the contract", name)
		}
	}
	if err := c.validate(a, response); err != nil {
		fault("%v", err)
	}
	if code := a.text("code"); code != "" {
		c.used["code "+code] = true
	}
	if reason := a.text("publishDenied"); reason != "" {
		c.used["reason "+reason] = true
	}
	return faults
}

// unlisted are HTTP's own headers, CORS's beyond the one that matters to
// callers, and the one the document's introduction describes for all.
var unlisted = []string{"Content-Length", "Content-Type", "Date", "Connection", "Vary",
	"Access-Control-Expose-Headers", "Strict-Transport-Security"}

// validate lets the library judge headers and body. The library looks at no
// redirect and at no answer to HEAD, so each response is presented to it as
// the one there is for a GET, with 200.
func (c contract) validate(a answer, response *openapi3.Response) error {
	shown := &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithStatus(http.StatusOK, &openapi3.ResponseRef{Value: response}))}
	request, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		return err
	}
	if len(response.Content) == 0 && len(a.data) > 0 {
		return fmt.Errorf("a body of %d bytes where none is said", len(a.data))
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: request, Route: &routers.Route{Spec: c.doc, Operation: shown}},
		Status:                 http.StatusOK, Header: a.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: a.method == http.MethodHead},
	}
	return openapi3filter.ValidateResponse(context.Background(), input.SetBodyBytes(a.data))
}

// unused lists what the contract says and no answer showed, and what the
// program's own lists have and the contract lacks.
func (c contract) unused() []string {
	var faults []string
	must := func(what string) {
		if !c.used[what] {
			faults = append(faults, what+": in the contract, and no answer shows it")
		}
	}
	for path, item := range c.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				at := method + " " + path + " " + status
				must(at)
				for name := range response.Value.Headers {
					must(at + " " + name)
				}
			}
		}
	}
	kinds := map[string]bool{}
	for _, kind := range stagedoor.Kinds() {
		kinds[kind.String()] = true
	}
	for _, code := range enum(c.doc, "ErrorCode") {
		must("code " + code)
		if !kinds[code] {
			faults = append(faults, "code "+code+": in the contract, and the door has no such kind")
		}
		delete(kinds, code)
	}
	for kind := range kinds {
		faults = append(faults, "code "+kind+": a kind of the door's that the contract lacks")
	}
	for _, reason := range enum(c.doc, "PublishDenied") {
		must("reason " + reason)
	}
	return faults
}

// enum returns the words of one of the document's schemas.
func enum(doc *openapi3.T, schema string) []string {
	var words []string
	if ref := doc.Components.Schemas[schema]; ref != nil {
		for _, word := range ref.Value.Enum {
			words = append(words, fmt.Sprint(word))
		}
	}
	return words
}
