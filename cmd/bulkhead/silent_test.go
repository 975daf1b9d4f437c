package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/lab/await"
)

// freeze stops a process that start has started, as kill -STOP does; thaw lets it go on.
func freeze(ts *testscript.TestScript, neg bool, args []string) { signalTo(ts, args, syscall.SIGSTOP) }
func thaw(ts *testscript.TestScript, neg bool, args []string)   { signalTo(ts, args, syscall.SIGCONT) }

func signalTo(ts *testscript.TestScript, args []string, s syscall.Signal) {
	found, ok := servers.Load(ts.Getenv("WORK") + args[0])
	if !ok {
		ts.Fatalf("nothing called %s was started", args[0])
	}
	ts.Check(found.(*running).command.Process.Signal(s))
}

// ready waits until the server says that it can be relied on, or that it can't: ready
// yes|no.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	want := map[string]int{"yes": http.StatusOK, "no": http.StatusServiceUnavailable}[args[0]]
	ts.Check(await.Until(context.Background(), "readyz to be "+args[0], func() (string, bool) {
		status, said := page(ts, "/readyz", "")
		return said, status == want
	}))
}

// metric waits until a metric has a value: metric NAME REGEXP.
func metric(ts *testscript.TestScript, neg bool, args []string) {
	want := regexp.MustCompile(`(?m)^` + strings.ReplaceAll(args[0], "{", `\{`) + " " + args[1])
	ts.Check(await.Until(context.Background(), "metric "+args[0]+" "+args[1], func() (string, bool) {
		_, said := page(ts, "/metrics", "data/operator.token")
		return said, want.MatchString(said)
	}))
}

func page(ts *testscript.TestScript, path, token string) (status int, text string) {
	request, err := http.NewRequest(http.MethodGet, ts.Getenv("BULKHEAD_SERVER")+path, nil)
	ts.Check(err)
	if token != "" {
		secret, err := os.ReadFile(ts.MkAbs(token))
		ts.Check(err)
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(secret)))
	}
	answer, err := http.DefaultClient.Do(request)
	ts.Check(err)
	body, err := io.ReadAll(answer.Body)
	ts.Check(errors.Join(err, answer.Body.Close()))
	return answer.StatusCode, string(body)
}
