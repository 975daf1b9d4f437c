package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bulkhead/lab/await"
	"bulkhead/lease"
	"bulkhead/ledger"
)

// secretText is what no output may hold.
const secretText = "s3cr3t"

// TestAddressesAreNotShown prints an address by every way there is.
func TestAddressesAreNotShown(t *testing.T) {
	for whole, shown := range map[SecretURL]string{
		"https://hooks.example/services/" + secretText:   "https://hooks.example/…",
		"https://hooks.example?token=" + secretText:      "https://hooks.example/…",
		"https://user:" + secretText + "@hooks.example/": "https://hooks.example/…",
		"https://hooks.example":                          "https://hooks.example",
		"https://hooks.example/%zz" + secretText:         "(not shown)",
		secretText:                                       "(not shown)",
	} {
		var out bytes.Buffer
		hook := Webhook{URL: whole}
		for _, verb := range []string{"%v", "%s", "%q", "%+v", "%#v", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", whole, hook, &hook)
		}
		log := slog.New(slog.NewJSONHandler(&out, nil))
		log.Info("x", "url", whole, "hook", hook, "hooks", []Webhook{hook})
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "url", whole, "hook", hook, "hooks", []Webhook{hook})
		encoded, err := json.Marshal(map[string]any{"a": whole, "b": hook, "c": &hook})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
		fmt.Fprint(&out, whole.check(), withoutAddresses("of "+string(whole)+" and "+string(whole)))
		if text := out.String(); strings.Contains(strings.ReplaceAll(text, "of "+secretText, ""), secretText) && whole != secretText || strings.Contains(text, fmt.Sprintf("%x", secretText)) {
			t.Errorf("%s is shown: %s", string(whole), text)
		}
		if whole.String() != shown {
			t.Errorf("%s, expected %s", whole, shown)
		}
	}
}

// TestNoWebhookIsLoggedWithItsSecret has calls fail in every way that a receiver
// has, and reads the log.
func TestNoWebhookIsLoggedWithItsSecret(t *testing.T) {
	rude := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, r.URL.Path, http.StatusInternalServerError)
	}))
	defer rude.Close()
	sends := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/"+secretText, http.StatusTemporaryRedirect)
	}))
	defer sends.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	w := newHooked(t)
	var hooks []Webhook
	for _, url := range []string{rude.URL, sends.URL, gone.URL, "http://nobody.invalid", "http://127.0.0.1:99999"} {
		hooks = append(hooks, Webhook{URL: SecretURL(url + "/" + secretText), Tenant: "acme"})
	}
	c := w.notifier(t, hooks...)
	w.run(t, c)
	w.happen(t, c, ledger.Entry{Scope: "tenant/acme", Kind: lease.KindLate, Body: []byte(`{}`)})
	await.Must(t, "every call to fail", func() bool {
		text, all := w.said.String(), true
		for n := range hooks {
			all = all && strings.Contains(text, fmt.Sprintf("receiver=%d ", n+1))
		}
		if strings.Contains(text, secretText) {
			t.Fatalf("logged: %s", text)
		}
		return all
	})
	for _, text := range []string{
		"webhooks: [{url: 'ftp://h/" + secretText + "'}]",
		"webhooks: [{url: '" + secretText + "'}]",
		"webhooks: [{url: 'https://h/%zz" + secretText + "'}]",
		"webhooks:\n- url: https://h/" + secretText + "\n  uri: x\n",
		"webhooks:\n- https://h/" + secretText + "\n",
		"webhooks:\n  https://h/" + secretText + ": x\n",
		"https://h/" + secretText + ": x\n",
		"webhooks:\n- url: [https://h/" + secretText + "]\n",
	} {
		if _, err := ParseWebhooks("hooks.yaml", []byte(text)); err == nil || strings.Contains(err.Error(), secretText) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
