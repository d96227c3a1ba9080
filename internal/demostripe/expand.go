package demostripe

import (
	"fmt"
	"strings"
	"time"
)

// maxDepth is how many levels an expansion may have, a list's own among them.
// It is what makes data.items.data.price.product impossible.
//
// SPEC: docs.stripe.com/api/expanding_objects.
const maxDepth = 4

// expandIn puts whole objects where an answer has ids. The caller holds mu.
func (s *Server) expandIn(answer object, path string, now time.Time) *fault {
	levels := strings.Split(path, ".")
	switch {
	case len(levels) > maxDepth:
		return cannotExpand(fmt.Sprintf("You cannot expand more than %d levels of a property. The property trying to be expanded: %s", maxDepth, path))
	case answer["object"] == "list" && levels[0] != "data":
		return cannotExpand(fmt.Sprintf("This property cannot be expanded (%s). You may want to try expanding 'data.%s' instead.", path, path))
	}
	return s.expand(answer, levels, now)
}

// expand goes down one level, and from there on.
func (s *Server) expand(in object, levels []string, now time.Time) *fault {
	name, rest := levels[0], levels[1:]
	kind, _ := in["object"].(string)
	refused := cannotExpand("This property cannot be expanded (" + name + ").")
	if id, ok := in[name].(string); ok && expandable(kind, name) {
		in[name] = s.find(id, now)
	} else if len(rest) == 0 && !expandable(kind, name) {
		return refused
	}
	if len(rest) == 0 {
		return nil
	}
	switch value := in[name].(type) {
	case object:
		return s.expand(value, rest, now)
	case []any:
		for _, one := range value {
			inner, ok := one.(object)
			if !ok {
				return refused
			}
			if refused := s.expand(inner, rest, now); refused != nil {
				return refused
			}
		}
		return nil
	}
	return refused
}

// expandable lists what the API shows as an id and can show whole.
func expandable(kind, name string) bool {
	switch kind + "." + name {
	case "subscription.customer", "subscription.latest_invoice", "price.product", "product.default_price",
		"checkout.session.customer", "checkout.session.subscription", "checkout.session.invoice",
		"invoice.customer", "entitlements.active_entitlement.feature":
		return true
	}
	return false
}

func cannotExpand(message string) *fault { return invalid("expand", "", message) }
