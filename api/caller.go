package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/run"
)

type callerKey struct{}

// caller is who calls. The zero caller may do nothing.
func caller(ctx context.Context) Token {
	token, _ := ctx.Value(callerKey{}).(Token)
	return token
}

func actor(t Token) book.Actor {
	return book.Actor{Subject: t.Subject, Role: string(t.Role), Tenant: t.Tenant}
}

// guard authenticates and authorises every call, unary and streaming. The door has
// done so before anything was read; a method that is reached by another way, or
// whose caller's token ended meanwhile, is kept here all the same.
type guard struct {
	tokens *Tokens
	now    func() time.Time
	view   func(func(*book.State))
	broken func() error // why nothing is written any more, or nil
}

func (g *guard) admit(ctx context.Context, procedure string, header http.Header) (context.Context, error) {
	token, err := identify(g.tokens, header, g.now())
	if err != nil {
		return nil, err
	}
	if !allowed(method(procedure), token.Role) {
		return nil, mayNot(token.Role, method(procedure))
	}
	return context.WithValue(ctx, callerKey{}, token), nil
}

// WrapUnary implements connect.Interceptor.
func (g *guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (_ connect.AnyResponse, err error) {
		defer func(call context.Context) { answered(call, err) }(ctx)
		ctx, err = g.admit(ctx, request.Spec().Procedure, request.Header())
		if err != nil {
			return nil, err
		}
		if err := g.check(ctx, request.Spec().Procedure, request.Any()); err != nil {
			return nil, err
		}
		if ctx, err = approved(ctx, request.Header()); err != nil {
			return nil, explain(err)
		}
		response, err := next(ctx, request)
		if err != nil {
			return nil, g.explain(ctx, err)
		}
		if m, ok := response.Any().(proto.Message); ok {
			err = g.getsItsOwn(ctx, m)
		}
		return response, err
	}
}

// check looks at a request before its handler does. A message of another kind
// than the guard can read is refused.
func (g *guard) check(ctx context.Context, procedure string, request any) error {
	m, ok := request.(proto.Message)
	if !ok {
		return connect.NewError(connect.CodeInternal, errors.New("the request is not a message that can be checked"))
	}
	if err := checkTexts(m.ProtoReflect(), ""); err != nil {
		return explain(err)
	}
	return g.asksForItsOwn(ctx, procedure, m)
}

// WrapStreamingClient implements connect.Interceptor; this is a server.
func (g *guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (g *guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer func(call context.Context) { answered(call, err) }(ctx)
		ctx, err = g.admit(ctx, conn.Spec().Procedure, conn.RequestHeader())
		if err != nil {
			return err
		}
		return g.explain(ctx, next(ctx, &guarded{conn, g, ctx}))
	}
}

// guarded is a stream whose caller is asked for again before every message: a
// stream may live for longer than the right to it.
type guarded struct {
	connect.StreamingHandlerConn
	guard *guard
	ctx   context.Context // of the call, with its caller
}

// Receive checks what it receives.
func (c *guarded) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	return c.guard.check(c.ctx, c.Spec().Procedure, message)
}

// Send sends nothing to a token that has been revoked or has expired.
func (c *guarded) Send(message any) error {
	if _, err := c.guard.admit(context.Background(), c.Spec().Procedure, c.RequestHeader()); err != nil {
		return err
	}
	if m, ok := message.(proto.Message); ok {
		if err := c.guard.getsItsOwn(c.ctx, m); err != nil {
			return err
		}
	}
	return c.StreamingHandlerConn.Send(message)
}

// explain gives an error its code. A control plane that has stopped writing is
// no mistake of the caller's, and why it has is not a tenant's business.
func (g *guard) explain(ctx context.Context, err error) error {
	var known *connect.Error
	if err == nil || errors.As(err, &known) {
		if known != nil && known.Code() == connect.CodeInternal && caller(ctx).Role.OfTenant() && !errors.Is(known, errForeign) {
			return connect.NewError(connect.CodeInternal, errNotForTenants)
		}
		return err
	}
	if errors.Is(err, run.ErrReadOnly) {
		if caller(ctx).Role.OfTenant() {
			err = errors.New("this server is read-only: ask its operator which one takes changes")
		}
		return connect.NewError(connect.CodeFailedPrecondition, err)
	}
	var refused *book.Refusal
	if trouble := g.broken(); trouble != nil && !errors.As(err, &refused) {
		if caller(ctx).Role.OfTenant() {
			trouble = errors.New("the control plane has stopped writing: ask its operator")
		}
		return connect.NewError(connect.CodeUnavailable, trouble)
	}
	if caller(ctx).Role.OfTenant() && !forTenants(err) {
		return connect.NewError(connect.CodeInternal, errNotForTenants)
	}
	return explain(err)
}

// errNotForTenants stands for an error that is about the server, its devices or its
// disk: its text may name files, sockets and devices of the owner's.
var errNotForTenants = errors.New("it could not be done here, and not because of what was asked: try again, or ask the site's operator")

// forTenants says whether an error is about what was asked.
func forTenants(err error) bool {
	var refused *book.Refusal
	var used *run.UsedIDError
	var document claim.Problems
	return errors.As(err, &refused) || errors.As(err, &used) || errors.As(err, &document) || errors.Is(err, run.ErrClock) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// explain gives an error its code, and the field that it is about.
func explain(err error) error {
	var known *connect.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	var refused *book.Refusal
	var used *run.UsedIDError
	switch {
	case errors.As(err, &used):
		return withField(connect.NewError(connect.CodeAlreadyExists, err), "command_id", used.Error())
	case errors.As(err, &refused):
		code := connect.CodeFailedPrecondition
		if refused.Field != "" {
			code = connect.CodeInvalidArgument
		}
		return withField(connect.NewError(code, err), refused.Field, refused.Reason)
	case errors.Is(err, run.ErrClock):
		return connect.NewError(connect.CodeUnavailable, err)
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	}
	return connect.NewError(connect.CodeInvalidArgument, err)
}

// badField is the answer to an argument that can't be read, such as a document
// that is the value of a field.
func badField(field string, err error) error {
	return withField(connect.NewError(connect.CodeInvalidArgument, err), field, err.Error())
}

func withField(e *connect.Error, field, reason string) error {
	if detail, err := connect.NewErrorDetail(&bulkheadv1.FieldError{Field: field, Reason: reason}); err == nil {
		e.AddDetail(detail)
	}
	return e
}

// missing is the answer to what does not exist and to what is another's alike.
func missing(what, id string) error {
	return connect.NewError(connect.CodeNotFound, errors.New("no "+what+" "+id))
}

// mayRead says whether the caller may see what belongs to a tenant.
func mayRead(ctx context.Context, tenant string) bool {
	t := caller(ctx)
	return !t.Role.OfTenant() || t.Tenant == tenant
}
