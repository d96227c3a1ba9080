package demostripe

import (
	"net/http"
	"time"
)

// alone lists one object of a kind, or none where it has no id.
func alone(p parameters, kind, address, id string, show func() object) (object, *fault) {
	return page(p, kind, address, []row{{id, id != "", show}})
}

// SPEC: docs.stripe.com/api/products/list.
func (s *Server) listProducts(_ time.Time, p parameters, _ string) (object, *fault) {
	return alone(p, "product", "/v1/products", s.product.id, s.productObject)
}

// SPEC: docs.stripe.com/api/prices/list.
func (s *Server) listPrices(_ time.Time, p parameters, _ string) (object, *fault) {
	return alone(p, "price", "/v1/prices", s.product.price, s.priceObject)
}

// listEndpoints has the one place where events go, once it is known.
//
// SPEC: docs.stripe.com/api/webhook_endpoints/list.
func (s *Server) listEndpoints(_ time.Time, p parameters, _ string) (object, *fault) {
	url, id := s.options.WebhookURL(), s.endpoint
	if url == "" || s.options.WebhookSecret.Empty() {
		id = ""
	}
	return alone(p, "webhook_endpoint", "/v1/webhook_endpoints", id, func() object { return s.endpointObject(url) })
}

// SPEC: docs.stripe.com/api/webhook_endpoints/object; the secret is shown at
// its creation alone.
func (s *Server) endpointObject(url string) object {
	return object{
		"object": "webhook_endpoint", "id": s.endpoint, "livemode": false, "status": "enabled", "url": url,
		"enabled_events": []any{"*"}, "api_version": nil, "application": nil, "created": s.product.created.Unix(),
		"description": nil, "metadata": object{},
	}
}

// retrieveEndpoint answers with the endpoint of an id.
func (s *Server) retrieveEndpoint(_ time.Time, _ parameters, id string) (object, *fault) {
	if url := s.options.WebhookURL(); id == s.endpoint && url != "" && !s.options.WebhookSecret.Empty() {
		return s.endpointObject(url), nil
	}
	return nil, missing(http.StatusNotFound, noun("webhook_endpoint"), id, "id")
}
