package fabric

import (
	"context"
	"time"
)

type askedKey struct{}

// WithAsked says in a context when, by the clock of whoever asks a driver, the question
// was put. To a device that is nothing; a simulated one, whose clock others move, knows by
// it how far who asks has come: a question may be under way while time passes.
func WithAsked(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, askedKey{}, at)
}

// Asked is when it was put; zero: it is not said.
func Asked(ctx context.Context) time.Time {
	at, _ := ctx.Value(askedKey{}).(time.Time)
	return at
}
