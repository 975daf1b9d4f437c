package api

import (
	"sync"
	"time"
)

// asks counts what tenants ask for. It is kept in memory: who restarts the server
// forgets it, and no tenant can.
type asks struct {
	mu sync.Mutex
	by map[string][]time.Time // of the last hour, oldest first
}

// take counts an ask of a tenant, unless it has asked for as much as it may in an
// hour: then it says after how long it may again.
func (a *asks) take(tenant string, most int, now time.Time) (again time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[string][]time.Time{}
	}
	recent := a.by[tenant]
	for len(recent) > 0 && !now.Before(recent[0].Add(time.Hour)) {
		recent = recent[1:]
	}
	if len(recent) >= most {
		a.by[tenant] = recent
		return recent[len(recent)-most].Add(time.Hour).Sub(now)
	}
	a.by[tenant] = append(recent, now)
	return 0
}
