package demostripe

import (
	"strconv"
	"time"
)

// What the demo's plan costs, in cents a month.
const (
	planName  = "Demo plan"
	planPrice = 900
	currency  = "usd"
)

// sessionLife is how long Stripe keeps a Checkout session open.
const sessionLife = 24 * time.Hour

// object is an object of Stripe's API. Each is built anew, so that whoever
// expands it changes nobody else's.
type object map[string]any

// listOf wraps objects as Stripe does, at an address.
func listOf(address string, more bool, data []any) object {
	return object{"object": "list", "url": address, "has_more": more, "data": data}
}

// seconds is Stripe's time; the zero time is null.
func seconds(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

// text is null where there is none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// SPEC: docs.stripe.com/api/products/object. The plan's features are in its
// metadata, where the door looks for them.
func (s *Server) productObject() object {
	p := s.product
	metadata := object{}
	if p.feature != "" {
		metadata["features"] = string(p.feature)
	}
	return object{
		"object": "product", "id": p.id, "active": true, "livemode": false, "name": planName,
		"created": p.created.Unix(), "updated": p.created.Unix(), "default_price": p.price,
		"description": nil, "images": []any{}, "marketing_features": []any{}, "metadata": metadata,
		"package_dimensions": nil, "shippable": nil, "statement_descriptor": nil, "tax_code": nil,
		"unit_label": nil, "url": nil,
	}
}

// SPEC: docs.stripe.com/api/prices/object.
func (s *Server) priceObject() object {
	return object{
		"object": "price", "id": s.product.price, "active": true, "livemode": false, "product": s.product.id,
		"created": s.product.created.Unix(), "currency": currency, "type": "recurring",
		"unit_amount": planPrice, "unit_amount_decimal": strconv.Itoa(planPrice), "billing_scheme": "per_unit",
		"recurring":          object{"interval": "month", "interval_count": 1, "meter": nil, "usage_type": "licensed"},
		"custom_unit_amount": nil, "lookup_key": nil, "metadata": object{}, "nickname": nil,
		"tax_behavior": "unspecified", "tiers_mode": nil, "transform_quantity": nil,
	}
}

// SPEC: docs.stripe.com/api/customers/object.
func (s *Server) customerObject(c *customer) object {
	newest := s.newestOf(c.user)
	var spends any
	if newest != nil {
		spends = currency
	}
	return object{
		"object": "customer", "id": c.id, "livemode": false, "created": c.created.Unix(), "name": text(c.name),
		"metadata": object{"user_id": c.reference}, "balance": 0, "currency": spends,
		"delinquent":     newest != nil && newest.invoice.paid.IsZero(),
		"invoice_prefix": c.prefix, "next_invoice_sequence": c.invoices + 1,
		"invoice_settings": object{
			"custom_fields": nil, "default_payment_method": nil, "footer": nil, "rendering_options": nil,
		},
		"address": nil, "default_source": nil, "description": nil, "discount": nil, "email": nil, "phone": nil,
		"preferred_locales": []any{}, "shipping": nil, "tax_exempt": "none", "test_clock": nil,
	}
}

// SPEC: docs.stripe.com/api/subscriptions/object. Since 2025-03-31.basil the
// period is the item's, and the plan is the item's price.
func (s *Server) subscriptionObject(sub *subscription, now time.Time) object {
	return object{
		"object": "subscription", "id": sub.id, "livemode": false, "status": sub.status, "metadata": object{},
		"customer": sub.customer.id, "customer_account": nil, "latest_invoice": sub.invoice.id,
		"created": sub.created.Unix(), "start_date": sub.created.Unix(), "billing_cycle_anchor": sub.anchor.Unix(),
		"ended_at": seconds(sub.ended), "canceled_at": seconds(sub.ended),
		"cancel_at": nil, "cancel_at_period_end": false, "cancellation_details": cancellation(sub),
		"items": listOf("/v1/subscription_items?subscription="+sub.id, false, []any{s.itemObject(sub, now)}),

		"collection_method": "charge_automatically", "currency": currency, "days_until_due": nil,
		"automatic_tax":    object{"disabled_reason": nil, "enabled": false, "liability": nil},
		"billing_mode":     object{"type": "classic", "flexible": nil},
		"invoice_settings": object{"account_tax_ids": nil, "custom_fields": nil, "description": nil, "footer": nil, "issuer": object{"type": "self"}},
		"payment_settings": object{"payment_method_options": nil, "payment_method_types": nil, "save_default_payment_method": "off"},
		"trial_settings":   object{"end_behavior": object{"missing_payment_method": "create_invoice"}},

		"application": nil, "application_fee_percent": nil, "billing_cycle_anchor_config": nil, "billing_schedules": []any{},
		"billing_thresholds": nil, "default_payment_method": nil, "default_source": nil, "default_tax_rates": []any{},
		"description": nil, "discounts": []any{}, "managed_payments": nil, "next_pending_invoice_item_invoice": nil,
		"on_behalf_of": nil, "pause_collection": nil, "pending_invoice_item_interval": nil, "pending_setup_intent": nil,
		"pending_update": nil, "schedule": nil, "test_clock": nil, "transfer_data": nil, "trial_end": nil, "trial_start": nil,
	}
}

func cancellation(sub *subscription) object {
	var reason any
	if sub.status == statusCanceled {
		reason = "cancellation_requested"
	}
	return object{"comment": nil, "feedback": nil, "reason": reason}
}

// SPEC: docs.stripe.com/api/subscription_items/object.
func (s *Server) itemObject(sub *subscription, now time.Time) object {
	start, end := sub.period(now)
	return object{
		"object": "subscription_item", "id": sub.item, "subscription": sub.id, "created": sub.created.Unix(),
		"current_period_start": start.Unix(), "current_period_end": end.Unix(), "price": s.priceObject(), "quantity": 1,
		"billing_thresholds": nil, "discounts": []any{}, "metadata": object{}, "tax_rates": []any{},
	}
}

// SPEC: docs.stripe.com/api/entitlements/active-entitlement/object.
func (s *Server) entitlementObject(c *customer) object {
	return object{
		"object": "entitlements.active_entitlement", "id": c.entitlement, "livemode": false,
		"lookup_key": string(s.product.feature), "feature": s.product.entitlement,
	}
}

// SPEC: docs.stripe.com/api/entitlements/feature/object.
func (s *Server) featureObject() object {
	return object{
		"object": "entitlements.feature", "id": s.product.entitlement, "livemode": false, "active": true,
		"lookup_key": string(s.product.feature), "name": string(s.product.feature), "metadata": object{},
	}
}

// SPEC: docs.stripe.com/api/checkout/sessions/object.
func (s *Server) sessionObject(done *session) object {
	c := done.subscription.customer
	return object{
		"object": "checkout.session", "id": done.id, "livemode": false, "mode": "subscription",
		"status": "complete", "payment_status": "paid", "client_reference_id": done.reference,
		"customer": c.id, "customer_account": nil, "subscription": done.subscription.id, "invoice": done.invoice.id,
		"created": done.created.Unix(), "expires_at": done.created.Add(sessionLife).Unix(),
		"currency": currency, "amount_subtotal": planPrice, "amount_total": planPrice,
		"total_details": object{"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
		"customer_details": object{
			"address": nil, "business_name": nil, "email": nil, "individual_name": nil, "name": text(c.name),
			"phone": nil, "tax_exempt": "none", "tax_ids": []any{},
		},
		"customer_creation": "always", "customer_email": nil, "metadata": object{}, "payment_method_collection": "always",
		"payment_method_types": []any{"card"}, "payment_method_options": object{}, "ui_mode": "hosted_page",
		"automatic_tax": object{"enabled": false, "liability": nil, "provider": nil, "status": nil},
		"custom_text": object{
			"after_submit": nil, "shipping_address": nil, "submit": nil, "terms_of_service_acceptance": nil,
		},
		"phone_number_collection":      object{"enabled": false},
		"saved_payment_method_options": object{"allow_redisplay_filters": []any{"always"}, "payment_method_remove": "disabled", "payment_method_save": nil},

		"adaptive_pricing": nil, "after_expiration": nil, "allow_promotion_codes": nil, "billing_address_collection": nil,
		"cancel_url": nil, "client_secret": nil, "collected_information": nil, "consent": nil, "consent_collection": nil,
		"currency_conversion": nil, "custom_fields": []any{}, "discounts": []any{}, "integration_identifier": nil,
		"invoice_creation": nil, "locale": nil, "managed_payments": nil, "origin_context": nil, "payment_intent": nil,
		"payment_link": nil, "payment_method_configuration_details": nil, "permissions": nil, "recovered_from": nil,
		"setup_intent": nil, "shipping_address_collection": nil, "shipping_cost": nil, "shipping_options": []any{},
		"submit_type": nil, "success_url": nil, "url": nil, "wallet_options": nil,
	}
}
