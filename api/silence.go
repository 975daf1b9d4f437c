package api

import (
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
)

// maxSilences is how many stretches of a lease are listed: the newest.
const maxSilences = 100

// describeSilence says when nobody looked at what a lease runs on. While nobody does,
// none of its slots is said to be up.
func describeSilence(out *v1.Lease, b *book.State, l *book.Lease, now time.Time) {
	if now.Before(b.Time) {
		now = b.Time
	}
	gaps := b.SilencesOf(l, now)
	if over := len(gaps) - maxSilences; over > 0 {
		out.SilencesLeftOut, gaps = int64(over), gaps[over:]
	}
	for i := range gaps {
		g := &gaps[i]
		one := &v1.Silence{What: g.Named(), From: g.From.UTC().Format(time.RFC3339), Until: g.Until.UTC().Format(time.RFC3339)}
		if g.After == 0 && now.Before(l.End) {
			one.Until = ""
			out.ObservedUp = 0
		}
		out.Silences = append(out.Silences, one)
	}
	if told := b.Tenants[l.Tenant].Looks; told != nil && len(l.Events) > 0 && l.Events[0].At.Before(told.Since) {
		out.SilenceCountsFrom = told.Since.UTC().Format(time.RFC3339)
	}
}
