package billing

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v86/webhook"

	"stagedoor"
)

const signing = "whsec_8n5hQz2kVt7LrB4vN8sHd3JfGm6ZuA1e"

func signature(payload, secret string, at time.Time) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(webhook.ComputeSignature(at, []byte(payload), secret)))
}

func TestSignatures(t *testing.T) {
	const payload = `{"id":"evt_1"}`
	secrets := []stagedoor.Secret{stagedoor.NewSecret(signing), stagedoor.NewSecret("whsec_old")}
	good := signature(payload, signing, noon)
	hash := strings.TrimPrefix(good, fmt.Sprintf("t=%d,v1=", noon.Unix()))
	for name, c := range map[string]struct {
		payload, header string
		secrets         []stagedoor.Secret
		ok              bool
	}{
		"good":                                 {payload, good, secrets, true},
		"the secret being rotated out":         {payload, signature(payload, "whsec_old", noon), secrets, true},
		"two signatures, one of them good":     {payload, good + ",v1=" + strings.Repeat("00", 32), secrets, true},
		"almost five minutes old":              {payload, signature(payload, signing, noon.Add(-299*time.Second)), secrets, true},
		"almost five minutes ahead":            {payload, signature(payload, signing, noon.Add(299*time.Second)), secrets, true},
		"TestStaleSignatureIsRefused":          {payload, signature(payload, signing, noon.Add(-301*time.Second)), secrets, false},
		"TestFutureSignatureIsRefused":         {payload, signature(payload, signing, noon.Add(301*time.Second)), secrets, false},
		"TestFarFutureSignatureIsRefused":      {payload, signature(payload, signing, noon.Add(24*time.Hour)), secrets, false},
		"TestEmptySecretIsRefused":             {payload, signature(payload, "", noon), []stagedoor.Secret{{}, stagedoor.NewSecret("")}, false},
		"no secret":                            {payload, good, nil, false},
		"another secret":                       {payload, signature(payload, "whsec_x", noon), secrets, false},
		"another body":                         {payload + " ", good, secrets, false},
		"no header":                            {payload, "", secrets, false},
		"no signature":                         {payload, fmt.Sprintf("t=%d", noon.Unix()), secrets, false},
		"another scheme":                       {payload, strings.Replace(good, "v1=", "v0=", 1), secrets, false},
		"no time":                              {payload, "v1=" + hash, secrets, false},
		"TestTwoTimestampsAreRefused":          {payload, good + fmt.Sprintf(",t=%d", noon.Unix()), secrets, false},
		"TestOldSignatureUnderAFreshTimeFails": {payload, fmt.Sprintf("t=%d,v1=%s", noon.Add(time.Minute).Unix(), hash), secrets, false},
		"a time that overflows":                {payload, "t=99999999999999999999,v1=" + hash, secrets, false},
	} {
		err := verify([]byte(c.payload), c.header, c.secrets, noon)
		if (err == nil) != c.ok || (err != nil && stagedoor.KindOf(err) != stagedoor.InvalidSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func snapshot(kind, object string) string {
	return fmt.Sprintf(`{"id":"evt_1","object":"event","api_version":"2020-08-27","created":%d,"livemode":false,"type":%q,"data":{"object":%s}}`, noon.Unix(), kind, object)
}

func thin(kind, object string) string {
	return fmt.Sprintf(`{"id":"evt_2","object":"v2.core.event","created":"2026-11-24T12:00:00.000Z","livemode":false,"type":%q,"context":null,"related_object":{"id":%q,"type":"x","url":"/v1/x"}}`, kind, object)
}

func TestEvents(t *testing.T) {
	for name, c := range map[string]struct {
		payload string
		objects string
		link    stagedoor.Link
	}{
		"subscription":                       {snapshot("customer.subscription.updated", `{"id":"sub_1","object":"subscription","customer":"cus_1","status":"active"}`), "cus_1", stagedoor.Link{}},
		"subscription, customer expanded":    {snapshot("customer.subscription.deleted", `{"id":"sub_1","object":"subscription","customer":{"id":"cus_1","object":"customer"}}`), "cus_1", stagedoor.Link{}},
		"subscription of an account, v2":     {snapshot("customer.subscription.updated", `{"id":"sub_1","object":"subscription","customer":null}`), "sub_1", stagedoor.Link{}},
		"thin subscription":                  {thin("v1.customer.subscription.updated", "sub_1"), "sub_1", stagedoor.Link{}},
		"customer":                           {snapshot("customer.updated", `{"id":"cus_1","object":"customer"}`), "cus_1", stagedoor.Link{}},
		"thin customer":                      {thin("v1.customer.deleted", "cus_1"), "cus_1", stagedoor.Link{}},
		"invoice":                            {snapshot("invoice.paid", `{"id":"in_1","object":"invoice","customer":"cus_1"}`), "cus_1", stagedoor.Link{}},
		"entitlements":                       {snapshot("entitlements.active_entitlement_summary.updated", `{"object":"entitlements.active_entitlement_summary","customer":"cus_1"}`), "cus_1", stagedoor.Link{}},
		"product":                            {snapshot("product.updated", `{"id":"prod_1","object":"product"}`), "prod_1", stagedoor.Link{}},
		"product with an id of its own":      {snapshot("product.updated", `{"id":"gold","object":"product"}`), "product/gold", stagedoor.Link{}},
		"price with an id of its own":        {snapshot("price.updated", `{"id":"gold-monthly","object":"price"}`), "price/gold-monthly", stagedoor.Link{}},
		"checkout":                           {snapshot("checkout.session.completed", `{"id":"cs_1","object":"checkout.session","customer":"cus_1","client_reference_id":"ann"}`), "cus_1", stagedoor.Link{Reference: "ann", Customer: "cus_1", Source: "checkout"}},
		"checkout without a reference":       {snapshot("checkout.session.completed", `{"id":"cs_1","object":"checkout.session","customer":"cus_1","client_reference_id":null}`), "cus_1", stagedoor.Link{}},
		"checkout without a customer":        {snapshot("checkout.session.completed", `{"id":"cs_1","object":"checkout.session","customer":null,"client_reference_id":"ann"}`), "", stagedoor.Link{}},
		"thin checkout":                      {thin("v1.checkout.session.completed", "cs_1"), "cs_1", stagedoor.Link{}},
		"an unknown type":                    {snapshot("charge.succeeded", `{"id":"ch_1","object":"charge","customer":"cus_1"}`), "", stagedoor.Link{}},
		"TestConnectedAccountsEventIsNoHint": {strings.Replace(snapshot("customer.updated", `{"id":"cus_1","object":"customer"}`), `"livemode"`, `"account":"acct_1","livemode"`, 1), "", stagedoor.Link{}},
		"TestHugeIDIsNotTaken":               {snapshot("customer.updated", `{"id":"`+strings.Repeat("c", 300)+`","object":"customer"}`), "", stagedoor.Link{}},
		"TestControlCharactersAreNoID":       {snapshot("customer.updated", `{"id":"cus_\u0000\u001b[31m","object":"customer"}`), "", stagedoor.Link{}},
		"TestEmailIsNeverALink":              {snapshot("checkout.session.completed", `{"id":"cs_1","object":"checkout.session","customer":"cus_1","customer_email":"ann@acme.example","customer_details":{"email":"ann@acme.example"}}`), "cus_1", stagedoor.Link{}},
	} {
		event, livemode, err := parseEvent([]byte(c.payload))
		if err != nil || livemode || strings.Join(event.Objects, " ") != c.objects || event.Link != c.link || event.Created.Unix() != noon.Unix() {
			t.Errorf("%s: %+v %v %v", name, event, livemode, err)
		}
	}
	for name, payload := range map[string]string{
		"not JSON": "<html>", "empty": "", "a list": "[]", "no id": `{"object":"event","type":"x","livemode":false}`,
		"no type": `{"id":"evt_1","object":"event","livemode":false}`, "no livemode": `{"id":"evt_1","object":"event","type":"x"}`,
		"another object": `{"id":"cus_1","object":"customer","type":"x","livemode":false}`, "livemode as text": `{"id":"evt_1","object":"event","type":"x","livemode":"false"}`,
	} {
		if _, _, err := parseEvent([]byte(payload)); stagedoor.KindOf(err) != stagedoor.InvalidEvent {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Stripe's list of events takes twenty types at most.
func TestListenedTypesAreHintsAndFitOneRequest(t *testing.T) {
	if n := len(listened()); n > 20 {
		t.Errorf("%d types", n)
	}
	for _, kind := range listened() {
		objects, _ := hints(kind, affected{ID: "obj_1", Object: "x", Customer: "cus_1"})
		if len(objects) != 1 {
			t.Errorf("%s hints at %v", kind, objects)
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add(snapshot("customer.subscription.updated", `{"id":"sub_1","customer":"cus_1"}`))
	f.Add(thin("v1.checkout.session.completed", "cs_1"))
	f.Add(`{"id":"evt_1","object":"event","type":"product.updated","livemode":true,"data":{"object":{"id":{}}}}`)
	f.Fuzz(func(t *testing.T, payload string) {
		event, _, err := parseEvent([]byte(payload))
		if err != nil {
			return
		}
		for _, id := range append(event.Objects, event.ID) {
			if id == "" || len(id) > maxID+len("product/") || strings.ContainsAny(id, "\x00\n\x1b ") {
				t.Errorf("took %q for an id", id)
			}
		}
		if event.Link.Reference == "" && event.Link != (stagedoor.Link{}) {
			t.Errorf("half a link: %+v", event.Link)
		}
	})
}
