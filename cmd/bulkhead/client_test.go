package main

import (
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
