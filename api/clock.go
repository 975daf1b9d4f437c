package api

import (
	"context"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/run"
)

// ShowClock says what the site's time is, and whether it is certain.
func (s *service) ShowClock(context.Context, *connect.Request[v1.ShowClockRequest]) (*connect.Response[v1.Clock], error) {
	return connect.NewResponse(describeClock(s.plane.Clock())), nil
}

// ConfirmClock takes what the machine's clock shows for right. It takes an approver, who
// says what time it is by another clock.
func (s *service) ConfirmClock(ctx context.Context, r *connect.Request[v1.ConfirmClockRequest]) (*connect.Response[v1.Done], error) {
	said, err := time.Parse(time.RFC3339, r.Msg.Time)
	if err != nil {
		return nil, &book.Refusal{Field: "time", Reason: "expected what time it is, such as 2026-11-23T18:04:00Z"}
	}
	done, err := s.plane.ConfirmClock(ctx, commandID(ctx, r.Msg, book.ConfirmClock{}), said, actor(caller(ctx)), r.Msg.Reason)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.Done{Entry: done.Entry, Repeated: done.Repeated, Nothing: done.Nothing}), nil
}

func describeClock(c run.ClockStatus) *v1.Clock {
	text := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return &v1.Clock{
		Now: text(c.Now), Machine: text(c.Machine), LastEntry: text(c.Head), Source: c.Source, Confirmed: c.Confirmed, Why: c.Why,
		Since: text(c.Since), Synchronised: c.Synchronised, Silent: lasting(c.Silent),
	}
}

// lasting is a duration in words, "" where there is none.
func lasting(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.Round(time.Second).String()
}
