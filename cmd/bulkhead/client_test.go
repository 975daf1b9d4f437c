package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

// TestAnAnswerThatDidNotCome breaks the line after a change was sent: what is said
// names the id that tells what became of it. A change that was never sent, or that
// was answered, says nothing of the kind.
func TestAnAnswerThatDidNotCome(t *testing.T) {
	hangsUp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer hangsUp.Close()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"code":"unavailable","message":"no"}`))
	}))
	defer busy.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("bh_x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() { requested = "" }()
	for server, want := range map[string]bool{hangsUp.URL: true, busy.URL: false, gone.URL: false} {
		c := &client{Server: server, TokenFile: token}
		id := requestFlag{}.id()
		_, err := ask(t.Context(), c, bulkheadv1connect.ControlPlaneClient.Resume, &v1.PauseRequest{CommandId: id})
		how := unanswered(err)
		if err == nil || (how != nil) != want || want && !strings.Contains(how.Error(), "bulkhead command show "+id) {
			t.Errorf("%v: %v", err, how)
		}
		requested = ""
		if how := unanswered(err); how != nil {
			t.Errorf("nothing was to be changed: %v", how)
		}
	}
}

// TestTheTokenIsShownToNobodyElse sends the client on, elsewhere and to the same
// server, and gives it a server that is not on this machine.
func TestTheTokenIsShownToNobodyElse(t *testing.T) {
	shown := 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if shown++; r.Header.Get("Authorization") != "" {
			t.Error("the token was shown elsewhere")
		}
	}))
	defer other.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("bh_x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		for _, to := range []string{other.URL, "/elsewhere"} {
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked == 1 {
					http.Redirect(w, r, to, code)
				}
			}))
			c := client{Server: server.URL, TokenFile: token}
			_, err := ask(t.Context(), &c, bulkheadv1connect.ControlPlaneClient.ShowSite, &v1.ShowSiteRequest{})
			var sentOn *elsewhereError
			if !errors.As(explain(err), &sentOn) || asked != 1 || shown != 0 {
				t.Errorf("%d to %s: %v, asked %d times here and %d there", code, to, err, asked, shown)
			}
			server.Close()
		}
	}
	for server, want := range map[string]bool{
		"http://127.0.0.1:1": true, "http://localhost": true, "http://[::1]:1": true, "https://far.example": true,
		"http://far.example": false, "http://10.0.0.1:8470": false, "http://localhost.far.example": false, "http://127.0.0.1.far.example": false,
	} {
		c := client{Server: server, TokenFile: token}
		if err := c.check(); (err == nil) != want {
			t.Errorf("%s: %v", server, err)
		}
		if c.Insecure = true; c.check() != nil {
			t.Errorf("%s, though told: %v", server, c.check())
		}
	}
}
