package run

import (
	"context"

	"bulkhead/book"
)

type approvalKey struct{}

// WithApproval is a context in which the next command carries what an approver has
// signed for it.
func WithApproval(ctx context.Context, a *book.SignedApproval) context.Context {
	return context.WithValue(ctx, approvalKey{}, a)
}

func approvalOf(ctx context.Context) *book.SignedApproval {
	a, _ := ctx.Value(approvalKey{}).(*book.SignedApproval)
	return a
}
