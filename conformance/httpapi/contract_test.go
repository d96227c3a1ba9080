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
	// The two files are served as they are, and a comparison's lines come one by
	// one: to the contract each body is a string.
	openapi3filter.RegisterBodyDecoder("text/javascript", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/yaml", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder(linesType, openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/webhook+json", openapi3filter.JSONBodyDecoder)
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

// address finds what the contract says of a path: under which of its own
// paths, and what stands there for the parameters.
func (c contract) address(path string) (item *openapi3.PathItem, at string, params map[string]string) {
	if item := c.doc.Paths.Value(path); item != nil {
		return item, path, nil
	}
	got := strings.Split(path, "/")
	for at, item := range c.doc.Paths.Map() {
		want, params := strings.Split(at, "/"), map[string]string{}
		if len(want) != len(got) {
			continue
		}
		for i, part := range want {
			if name, open := strings.CutPrefix(part, "{"); open && got[i] != "" {
				params[strings.TrimSuffix(name, "}")], want[i] = got[i], got[i]
			}
		}
		if slices.Equal(want, got) {
			return item, at, params
		}
	}
	return nil, path, nil
}

// asGet is the method that the contract has for one that is sent: HEAD is GET
// without a body, but where operators ask.
func asGet(method, path string) string {
	if method == http.MethodHead && !strings.HasPrefix(path, adminPath) {
		return http.MethodGet
	}
	return method
}

// response finds what the contract says of an answer, and where. Another
// method is answered as the default of every operation of the address, another
// address as the document's introduction says.
func (c contract) response(a answer) (*openapi3.Response, []string) {
	path, _, _ := strings.Cut(a.path, "?")
	item, path, _ := c.address(path)
	method, status := asGet(a.method, path), strconv.Itoa(a.status)
	var operation *openapi3.Operation
	if item != nil {
		operation = item.GetOperation(method)
	}
	if operation == nil {
		name := "Refused"
		switch {
		case a.status == http.StatusPermanentRedirect:
			name = "ToHTTPS"
		case a.status != http.StatusMethodNotAllowed && item != nil && strings.HasPrefix(path, adminPath):
			// What comes before the method is answered as for one that there is.
			name = "Admin" + strings.ReplaceAll(http.StatusText(a.status), " ", "")
		}
		ref := c.doc.Components.Responses[name]
		if item == nil || name != "Refused" {
			if ref == nil {
				return nil, []string{name}
			}
			return ref.Value, []string{name}
		}
		var all []string
		for method, each := range item.Operations() {
			operation = each
			all = append(all, method+" "+path+" default")
		}
		if ref = operation.Responses.Default(); ref == nil {
			return nil, all
		}
		return ref.Value, all
	}
	at := method + " " + path
	ref := operation.Responses.Value(status)
	if ref == nil {
		ref, status = operation.Responses.Default(), "default"
	}
	if ref == nil {
		return nil, []string{at}
	}
	return ref.Value, []string{at + " " + status}
}

// inDefault are the codes that an operation need not list a status for.
var inDefault = []string{"not_found", "method_not_allowed"}

// judge lists what is wrong with one answer and notes what it used.
func (c contract) judge(a answer) []string {
	var faults []string
	fault := func(format string, args ...any) {
		faults = append(faults, a.String()+": "+fmt.Sprintf(format, args...))
	}
	response, all := c.response(a)
	if response == nil {
		return []string{a.String() + ": no response of " + strings.Join(all, ", ") + " is for " + strconv.Itoa(a.status)}
	}
	for _, at := range all {
		c.used[at] = true
	}
	if strings.HasSuffix(all[0], "default") && a.body != nil && !slices.Contains(inDefault, a.text("code")) {
		fault("%d %s has to be listed and is left to the default", a.status, a.text("code"))
	}
	for name, header := range response.Headers {
		if a.header.Get(name) != "" {
			for _, at := range all {
				c.used[at+" "+name] = true
			}
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
	for _, media := range response.Content {
		c.look(media.Schema, any(a.body))
	}
	for _, line := range a.lines {
		ref := c.doc.Components.Schemas["SyncLine"]
		if err := ref.Value.VisitJSON(line); err != nil {
			fault("%v", err)
		}
		c.look(&openapi3.SchemaRef{Ref: "SyncLine", Value: ref.Value}, line)
	}
	if code := a.text("code"); code != "" {
		c.used["code "+code] = true
	}
	if reason := a.text("publishDenied"); reason != "" {
		c.used["reason "+reason] = true
	}
	return faults
}

// look notes which members of the contract's objects a body has.
func (c contract) look(ref *openapi3.SchemaRef, value any) {
	if ref == nil {
		return
	}
	name := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
	switch value := value.(type) {
	case []any:
		for _, each := range value {
			c.look(ref.Value.Items, each)
		}
	case map[string]any:
		if len(value) > 0 {
			c.used["object "+name] = true
		}
		for member, each := range value {
			c.used["member "+name+"."+member] = true
			c.look(ref.Value.Properties[member], each)
		}
	}
}

// unlisted are HTTP's own headers, CORS's beyond the one that matters to
// callers, and the one the document's introduction describes for all.
var unlisted = []string{"Content-Length", "Content-Type", "Date", "Connection", "Vary",
	"Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Strict-Transport-Security"}

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
	for name, schema := range c.doc.Components.Schemas {
		if !c.used["object "+name] {
			continue // a request, or in an answer that is missed already
		}
		for member := range schema.Value.Properties {
			must("member " + name + "." + member)
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
