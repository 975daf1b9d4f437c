package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	"bulkhead/book"
	"bulkhead/run"
)

// The headers of positions, see the service's description. An owner's role counts
// in the whole ledger; a tenant's in its own scope, or it would see how busy others
// are.
const (
	MinEntryHeader = "Bulkhead-Min-Entry"
	EntryHeader    = "Bulkhead-Entry"
)

// entryPatience is how long a request without a deadline waits for a position.
const entryPatience = 5 * time.Second

// positions lets a request wait until the state that it reads holds what its caller
// has seen already, and says of which position each answer is.
type positions struct {
	plane    *run.Plane
	patience time.Duration
}

// now is the caller's position.
func (p *positions) now(ctx context.Context) (at uint64) {
	t := caller(ctx)
	if !t.Role.OfTenant() {
		return p.plane.Position()
	}
	p.plane.View(func(s *book.State) { at = s.Scopes[book.TenantScope(t.Tenant)] })
	return at
}

// wait waits for what a request asks for, and returns the position then.
func (p *positions) wait(ctx context.Context, header http.Header) (uint64, error) {
	text := header.Get(MinEntryHeader)
	if text == "" {
		return p.now(ctx), nil
	}
	want, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &book.Refusal{Field: MinEntryHeader, Reason: fmt.Sprintf("%.40q: expected a position such as %s of an earlier answer", text, EntryHeader)}
	}
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if _, has := ctx.Deadline(); !has {
		bounded, cancel = context.WithTimeout(ctx, p.patience)
	}
	defer cancel()
	for {
		// The position of a scope moves only where the ledger's does.
		whole := p.plane.Position()
		at := p.now(ctx)
		if at >= want {
			return at, nil
		}
		if p.plane.Wait(bounded, whole+1) == nil {
			continue
		}
		if ctx.Err() != nil && context.Cause(ctx) != context.DeadlineExceeded { //nolint:errorlint // the cause itself
			return 0, ctx.Err() // the caller has gone
		}
		code := connect.CodeUnavailable
		if ctx.Err() != nil {
			code = connect.CodeDeadlineExceeded
		}
		return 0, connect.NewError(code, fmt.Errorf("what is read here is of entry %d, and %s asks for %d: ask again, or for less", at, MinEntryHeader, want))
	}
}

// readsByID are the methods whose requests carry a command_id and change nothing.
var readsByID = map[string]bool{"DiffSite": true, "ShowCommand": true}

// WrapUnary implements connect.Interceptor.
func (p *positions) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		at, err := p.wait(ctx, request.Header())
		if err != nil {
			return nil, err
		}
		response, err := next(ctx, request)
		if err != nil {
			return nil, err
		}
		if _, changes := request.Any().(change); changes && !readsByID[method(request.Spec().Procedure)] {
			at = p.now(ctx) // with what was changed
		}
		response.Header().Set(EntryHeader, strconv.FormatUint(at, 10))
		return response, nil
	}
}

// WrapStreamingClient implements connect.Interceptor; this is a server.
func (p *positions) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (p *positions) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		at, err := p.wait(ctx, conn.RequestHeader())
		if err != nil {
			return err
		}
		conn.ResponseHeader().Set(EntryHeader, strconv.FormatUint(at, 10))
		return next(ctx, conn)
	}
}
