package collector

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTable compares the table with the plainest one that there can be, after
// every step, for two reflectors: what each next hop has, and what changed since
// every cursor that was ever given.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := newTable(4)
		feeds := []*feed{newFeed(), newFeed()}
		type held struct {
			addr netip.Addr
			r    route
		}
		plain := []map[key]held{{}, {}}
		picture := func(a netip.Addr) (out [2]map[key]route) {
			for i, m := range plain {
				out[i] = map[key]route{}
				for k, h := range m {
					if h.addr == a {
						out[i][k] = h.r
					}
				}
			}
			return out
		}
		addr := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 64, 0, byte(n)}) }
		const addrs = 12
		type moment struct {
			cursor uint64
			was    [addrs][2]map[key]route
		}
		now := func() (m moment) {
			m.cursor = table.clock
			for n := range addrs {
				m.was[n] = picture(addr(n))
			}
			return m
		}
		history := []moment{now()}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, 1).Draw(t, "reflector")
			k := key{rapid.Byte().Draw(t, "key") % 8}
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				table.forget(feeds[i])
				plain[i] = map[key]held{}
			case 1, 2, 3:
				table.drop(feeds[i], k)
				delete(plain[i], k)
			default:
				h := held{addr(rapid.IntRange(0, addrs-1).Draw(t, "next hop")), route{kind: 2, vni: rapid.Uint32Range(1, 2).Draw(t, "vni"), targets: noTargets}}
				table.put(feeds[i], k, h.addr, h.r)
				plain[i][k] = h
			}
			for n := range addrs {
				v, want := table.vteps[addr(n)], picture(addr(n))
				total := 0
				for j := range feeds {
					got := map[key]route{}
					if v != nil {
						if at, some := feeds[j].heads[v]; some {
							for ; at != none; at = feeds[j].records[at].next {
								for k, place := range feeds[j].at {
									if place == at {
										got[k] = feeds[j].records[at].route
									}
								}
							}
						}
					}
					if !mapsEqual(got, want[j]) {
						t.Fatalf("next hop %d of reflector %d: %v, expected %v", n, j, got, want[j])
					}
					total += len(got)
				}
				if v != nil && v.count != total {
					t.Fatalf("next hop %d: count %d, expected %d", n, v.count, total)
				}
			}
			if table.emptied > table.limit {
				t.Fatalf("%d next hops without routes are kept, at most %d", table.emptied, table.limit)
			}
			for _, m := range history {
				changed, all := table.since(m.cursor)
				for n := range addrs {
					is := picture(addr(n))
					differs := !mapsEqual(m.was[n][0], is[0]) || !mapsEqual(m.was[n][1], is[1])
					told := slices.Contains(changed, addr(n)) || all && len(is[0])+len(is[1]) == 0
					if differs && !told {
						t.Fatalf("next hop %d changed after %d, and is not among %v (all %t)", n, m.cursor, changed, all)
					}
				}
			}
			history = append(history, now())
		}
	})
}

func mapsEqual(a, b map[key]route) bool {
	if len(a) != len(b) {
		return false
	}
	for k, r := range a {
		if o, ok := b[k]; !ok || o != r {
			return false
		}
	}
	return true
}
