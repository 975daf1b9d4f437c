package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"bulkhead/book"
	"bulkhead/ledger"
)

// intruder says who appended where this writer wanted to, and what to do: nothing is
// lost, and a backup would only take away what is there.
func (w *writer) intruder(ctx context.Context, cause error) string {
	if !errors.Is(cause, ledger.ErrConflict) {
		return ""
	}
	last, who := w.durable, "a writer whose term began before that"
	for e, err := range w.log.Read(context.WithoutCancel(ctx), w.durable+1) {
		if err != nil {
			return fmt.Sprintf("; its entries can't be read: %v", err)
		}
		last = e.Seq
		var began book.Began
		// Lenient JSON: of an entry of whoever wrote it, for a message: it may be of a later release.
		if e.Kind == book.KindWriter && json.Unmarshal(e.Body, &began) == nil {
			who = fmt.Sprintf("%q in its term %d, which began %s", began.Writer, began.Term, e.Time.Format("2006-01-02 15:04:05 MST"))
		}
	}
	return fmt.Sprintf("; entries %d to %d are of %s. Two servers write one ledger. Nothing of it is damaged, so restore no backup: stop both, find out how the second one came past the lock (a removed .lock file, a file system without locks), then start one: it goes on from what the ledger holds", w.durable+1, last, who)
}
