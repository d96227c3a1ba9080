package demostripe

import "fmt"

// invoiceObject shows one month's bill, which is never sent by itself but in
// events and where something is expanded.
//
// SPEC: docs.stripe.com/api/invoices/object.
func (s *Server) invoiceObject(i *invoice) object {
	sub := i.subscription
	paid, remaining, status := 0, planPrice, "open"
	if !i.paid.IsZero() {
		paid, remaining, status = planPrice, 0, "paid"
	}
	out := object{
		"object": "invoice", "id": i.id, "livemode": false, "status": status, "billing_reason": i.reason,
		"customer": sub.customer.id, "customer_account": nil, "customer_name": text(sub.customer.name),
		"number": fmt.Sprintf("%s-%04d", sub.customer.prefix, i.number), "metadata": object{},
		"created": i.created.Unix(), "effective_at": i.created.Unix(), "period_start": i.start.Unix(), "period_end": i.end.Unix(),
		"currency": currency, "subtotal": planPrice, "subtotal_excluding_tax": planPrice, "total": planPrice, "total_excluding_tax": planPrice,
		"amount_due": planPrice, "amount_paid": paid, "amount_remaining": remaining, "amount_overpaid": 0,
		"amount_paid_off_stripe": 0, "amount_shipping": 0, "starting_balance": 0, "ending_balance": 0,
		"attempted": true, "attempt_count": 1, "auto_advance": paid == 0, "collection_method": "charge_automatically",
		"post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0,
		"parent": object{
			"type": "subscription_details", "quote_details": nil,
			"subscription_details": object{"metadata": object{}, "subscription": sub.id},
		},
		"status_transitions": object{
			"finalized_at": i.created.Unix(), "marked_uncollectible_at": nil, "paid_at": seconds(i.paid), "voided_at": nil,
		},
		"automatic_tax":    object{"disabled_reason": nil, "enabled": false, "liability": nil, "provider": nil, "status": nil},
		"payment_settings": object{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil},
		"issuer":           object{"type": "self"},
		"lines":            listOf("/v1/invoices/"+i.id+"/lines", false, []any{s.lineObject(i)}),
	}
	for _, empty := range []string{
		"account_country", "account_name", "account_tax_ids", "application", "automatically_finalizes_at", "custom_fields",
		"customer_address", "customer_email", "customer_phone", "customer_shipping", "default_payment_method", "default_source",
		"description", "due_date", "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf", "last_finalization_error",
		"latest_revision", "next_payment_attempt", "on_behalf_of", "receipt_number", "rendering", "shipping_cost",
		"shipping_details", "statement_descriptor", "test_clock", "webhooks_delivered_at",
	} {
		out[empty] = nil
	}
	for _, empty := range []string{"customer_tax_ids", "default_tax_rates", "discounts", "total_discount_amounts", "total_pretax_credit_amounts", "total_taxes"} {
		out[empty] = []any{}
	}
	out["customer_tax_exempt"] = "none"
	return out
}

// SPEC: docs.stripe.com/api/invoice-line-item/object.
func (s *Server) lineObject(i *invoice) object {
	return object{
		"object": "line_item", "id": i.line, "livemode": false, "invoice": i.id, "subscription": i.subscription.id,
		"amount": planPrice, "subtotal": planPrice, "currency": currency, "quantity": 1, "quantity_decimal": "1",
		"description": "1 × " + planName, "metadata": object{},
		"period": object{"start": i.start.Unix(), "end": i.end.Unix()},
		"pricing": object{
			"type": "price_details", "unit_amount_decimal": fmt.Sprint(planPrice),
			"price_details": object{"price": s.product.price, "product": s.product.id},
		},
		"parent": object{
			"type": "subscription_item_details", "invoice_item_details": nil,
			"subscription_item_details": object{
				"invoice_item": nil, "proration": false, "proration_details": nil,
				"subscription": i.subscription.id, "subscription_item": i.subscription.item,
			},
		},
		"discount_amounts": []any{}, "discountable": true, "discounts": []any{}, "pretax_credit_amounts": []any{}, "taxes": []any{},
	}
}
