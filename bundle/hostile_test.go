package bundle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// bomb is a log that an owner signs with its real keys so that its reader runs out of
// memory, time or luck.
type bomb struct {
	name  string
	forge func(s *bundletest.Story)
}

// strangers moves as many batches of nodes, each with a name of its own, as entries.
func strangers(s *bundletest.Story, batches int) {
	at := 0
	many(s, batches, node.KindMoved, func(int) any {
		b := node.Moved{SU: "a1-su01", From: node.Ready, To: node.Reserved}
		for range node.MaxBatch {
			at++
			b.Nodes = append(b.Nodes, node.MovedNode{Node: fmt.Sprint("n", at), Index: uint32(at)})
		}
		return b
	})
}

// many appends entries without numbering them each time.
func many(s *bundletest.Story, count int, kind string, body func(i int) any) {
	for i := range count {
		raw, isRaw := body(i).(json.RawMessage)
		if !isRaw {
			var err error
			if raw, err = json.Marshal(body(i)); err != nil {
				panic(err)
			}
		}
		s.Entries = append(s.Entries, ledger.Entry{Time: s.Now, Term: 1, Kind: kind, Body: raw})
	}
	s.Reseal()
}

func rawf(format string, args ...any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(format, args...))
}

const hour = time.Hour

// spans are the fabrics that the story's own lease spans.
func spans(s *bundletest.Story) (out []site.Span) {
	bundletest.Change(s.Log, lease.KindBound, func(_ int, b *lease.Bound) { out = b.Spans })
	return out
}

// leases binds so many leases of so many nodes each, for the whole term.
func leases(s *bundletest.Story, count int, nodes string, slots int) {
	on := spans(s)
	many(s, count, lease.KindBound, func(i int) any {
		return lease.Bound{Lease: lease.ID(fmt.Sprintf("acme-1/x%d", i)), Tenant: bundletest.Tenant, Contract: "acme-1", Tranche: "t1", Project: bundletest.Project,
			Fabric: "roce", Kind: "H100", Links: lease.Shared, Begin: s.Contract.Begin, End: s.Contract.End, Slots: slots, Nodes: nodes, Spans: on}
	})
}

// invoices signs an invoice of so many lines for each month from May on, once.
func invoices(s *bundletest.Story, months int, lines string) {
	for i := range months {
		period, err := meter.Month(s.Contract.TimeZone, 2026, time.May+time.Month(i))
		if err != nil {
			panic(err)
		}
		number := fmt.Sprintf("acme-%04d", i+1)
		from, to := period.From.UTC().Format(time.RFC3339), period.To.UTC().Format(time.RFC3339)
		predicate := rawf(`{"number":%q,"tenant":"acme","contract":"acme-1","versions":null,"time_zone":"America/Los_Angeles","month":%q,"period":{"from":%q,"to":%q},"currency":"USD","rounding":%q,"through":0,"usage":[],"lines":[%s],"total":"0.00"}`,
			number, period.From.Format("2006-01"), from, to, meter.Rounding, lines)
		statement := s.Sign(s.Owner.Invoice, number, claim.DigestOf(predicate), bundle.InvoiceType, predicate)
		s.Until(period.To.Add(hour))
		many(s, 1, meter.KindInvoiced, func(int) any {
			return meter.Invoiced{Number: number, Contract: "acme-1", From: from, To: to, Currency: "USD", Total: "0.00", Statement: statement}
		})
	}
}

const billedLine = `{"id":"x%d","kind":"fee","text":"","clause":"","formula":"","quantity":"1","unit":"","price":"1","per":"","amount":%q%s}`

// bombs is one of each kind of thing that grows: what a text of ranges stands for, what
// compression hides, numbers, and what is done for each pair of two things in a log.
var bombs = []bomb{
	{"an index of 2^32-1", func(s *bundletest.Story) {
		top := func(_ int, b *node.Moved) { b.Nodes[0].Index = 1<<32 - 1 }
		bundletest.Change(s.Log, node.KindMoved, top)
		bundletest.Change(s.Log, lease.KindDelivered, func(_ int, b *lease.Delivered) { b.Nodes[0].Index = 1<<32 - 1 })
	}},
	{"the last index, once a verdict", func(s *bundletest.Story) {
		for i := range 2000 {
			c := s.Certificate(uint64(i+2), s.Slots[0])
			c.Nodes = "1048575" // it can be read, and is not about the node that is delivered
			d := s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), prove.PredicateType, &c)
			s.Entries = append(s.Entries, entry(s, prove.KindVerdict, prove.Judged{Lease: string(s.Lease), Epoch: uint64(i + 2), Verdict: "proven", Ports: 9, Certificate: d}))
		}
		s.Reseal()
	}},
	{"leases of a million nodes", func(s *bundletest.Story) { leases(s, 50, "0-1048575", 1<<20) }},
	{"leases on one node", func(s *bundletest.Story) { leases(s, 20_000, "7", 1) }},
	{"a lease that is placed again and again", func(s *bundletest.Story) {
		s.Until(s.Contract.Begin.AddDate(0, 0, -10))
		leases(s, 1, "64-30063", 30_000)
		many(s, 3000, lease.KindRebooked, func(i int) any {
			return lease.Rebooked{Leases: []lease.RebookedLease{{Lease: "acme-1/x0", Slots: 30_000, Nodes: fmt.Sprintf("%d-%d", 64+i%2, 30063+i%2)}}}
		})
	}},
	{"60 MB in one entry", func(s *bundletest.Story) {
		many(s, 1, fabric.KindPosture, func(int) any { return rawf(`{"fabric":%q,"holds":true}`, strings.Repeat("a", 60<<20)) })
	}},
	{"60 MB in one body", func(s *bundletest.Story) {
		d := s.Body([]byte(`{"version":1,"note":"` + strings.Repeat("a", 60<<20) + `"}`))
		bundletest.Change(s.Log, lease.KindBound, func(_ int, b *lease.Bound) { b.Certificate = d })
	}},
	{"a gigabyte of entries", func(s *bundletest.Story) {
		body := rawf(`{"fabric":%q,"holds":true}`, strings.Repeat("a", 200<<10))
		many(s, 2800, fabric.KindPosture, func(int) any { return body })
	}},
	{"a list of nothing", func(s *bundletest.Story) {
		many(s, 20, node.KindMoved, func(int) any {
			return rawf(`{"su":"a1-su01","from":"ready","to":"reserved","reason":"","nodes":[%s{}]}`, strings.Repeat("{},", 80_000))
		})
	}},
	{"receipts of nothing", func(s *bundletest.Story) {
		text := rawf(`{"node":"a","receipts":[%s{"devices":[{}]}]}`, strings.Repeat(`{"devices":[{}]},`, 50_000))
		d := s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), node.TurnoverPredicate, text)
		bundletest.Change(s.Log, lease.KindDelivered, func(_ int, b *lease.Delivered) { b.Nodes[0].Statement = d })
	}},
	{"deep JSON", func(s *bundletest.Story) {
		many(s, 3, fabric.KindPosture, func(int) any {
			return rawf(`{"fabric":%s1%s}`, strings.Repeat("[", 120_000), strings.Repeat("]", 120_000))
		})
	}},
	{"a deep statement", func(s *bundletest.Story) {
		d := s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), node.TurnoverPredicate, rawf(`{"node":%s1%s}`, strings.Repeat("[", 9000), strings.Repeat("]", 9000)))
		bundletest.Change(s.Log, lease.KindDelivered, func(_ int, b *lease.Delivered) { b.Nodes[0].Statement = d })
	}},
	{"amounts with exponents", func(s *bundletest.Story) { invoices(s, 1, fmt.Sprintf(billedLine, 1, "1e999999", "")) }},
	{"1501 invoices of huge amounts", func(s *bundletest.Story) {
		// Each can be read and adds up, so that each is rated again, with all before it.
		huge := strings.Repeat("9", 36) + ".00"
		invoices(s, 1501, fmt.Sprintf(billedLine, 1, huge, "")+","+fmt.Sprintf(billedLine, 2, "-"+huge, ""))
	}},
	{"amounts with binary exponents", func(s *bundletest.Story) { invoices(s, 1, fmt.Sprintf(billedLine, 1, "1p9999999", "")) }},
	{"an amount of 200,000 digits", func(s *bundletest.Story) {
		invoices(s, 1, fmt.Sprintf(billedLine, 1, strings.Repeat("7", 200_000)+".00", ""))
	}},
	{"prices with exponents", func(s *bundletest.Story) { contractWith(s, `"price":"3.95"`, `"price":"1e999999"`) }},
	{"a number of 200,000 digits", func(s *bundletest.Story) {
		many(s, 3, node.KindMoved, func(int) any { return rawf(`{"su":"x","nodes":[{"index":%s}]}`, strings.Repeat("1", 200<<10)) })
	}},
	{"lines that name all entries", func(s *bundletest.Story) {
		var lines []string
		for i := range 40 {
			lines = append(lines, fmt.Sprintf(billedLine, i, "0.00", `,"entries":"1-16000000"`))
		}
		invoices(s, 3, strings.Join(lines, ","))
	}},
	{"digests that nothing is behind", func(s *bundletest.Story) {
		at := 0
		many(s, 3000, node.KindMoved, func(int) any {
			b := node.Moved{SU: "a1-su01", From: node.Reserved, To: node.Ready}
			for range node.MaxBatch {
				at++
				b.Nodes = append(b.Nodes, node.MovedNode{Node: "n", Index: 3, Evidence: claim.Digest{1, byte(at), byte(at >> 8), byte(at >> 16)}})
			}
			return b
		})
	}},
	{"nodes without end", func(s *bundletest.Story) {
		strangers(s, 4000)
	}},
	{"10,000 verdicts over 10,000 ports", func(s *bundletest.Story) {
		batch := 0
		many(s, 1111/64+1, node.KindMoved, func(int) any {
			b := node.Moved{SU: "a1-su01", From: node.Ready, To: node.Reserved}
			for range 64 {
				batch++
				b.Nodes = append(b.Nodes, node.MovedNode{Node: fmt.Sprint("n", batch), Index: uint32(2 * batch)})
			}
			return b
		})
		batch = 0
		many(s, 10_000, node.KindMoved, func(i int) any {
			to := node.Delivered
			if i%2 == 1 {
				to = node.Quarantined
			}
			return node.Moved{SU: "a1-su01", From: node.Reserved, To: to, Nodes: []node.MovedNode{{Node: s.Slots[0].ID(), Index: 0, Seq: uint32(i)}}}
		})
		c := s.Certify(2, s.Slots...)
		many(s, 10_000, prove.KindVerdict, func(i int) any {
			return prove.Judged{Lease: string(s.Lease), Epoch: uint64(i + 2), Verdict: "proven", Ports: 9, Certificate: c}
		})
	}},
	{"a word of its own for each verdict", func(s *bundletest.Story) {
		many(s, 60_000, prove.KindVerdict, func(i int) any {
			return prove.Judged{Lease: string(s.Lease), Epoch: uint64(i + 2), Verdict: fmt.Sprintf("%d%s", i, strings.Repeat("v", 400))}
		})
	}},
	{"slots that flap, and every month rated again", func(s *bundletest.Story) {
		leases(s, 1, "64-40063", 40_000)
		many(s, 20_000, lease.KindSlots, func(i int) any {
			state := meter.States()[i%3]
			return lease.Slots{Lease: "acme-1/x0", Tranche: "t1", Slots: "0-39999", State: string(state), Cause: "x"}
		})
		invoices(s, 12, fmt.Sprintf(billedLine, 1, "0.00", ""))
	}},
	{"contracts of many parts, in many versions", func(s *bundletest.Story) {
		var tranches []string
		for i := range 1200 {
			tranches = append(tranches, fmt.Sprintf(`{"id":"t%d","kind":"H100","fabric":"roce","gpus":24,"delivery":"2026-05-01T07:00:00Z","end":"2027-05-01T07:00:00Z","links":"shared","acceptance":"on-delivery"}`, i))
		}
		raw := rawf(`{"id":"acme-1","version":1,"effective":"2026-05-01T07:00:00Z","title":"x","tenant":"acme","project":"train","currency":"USD","time_zone":"America/Los_Angeles","begin":"2026-05-01T07:00:00Z","end":"2027-05-01T07:00:00Z","notice_days":30,"tranches":[%s],"rates":[{"tranches":["t1"],"from":"2026-05-01T07:00:00Z","to":"2027-05-01T07:00:00Z","basis":"gpu-hour","price":"3.95","clause":""}]}`, strings.Join(tranches, ","))
		many(s, 200, contract.KindQuoted, func(i int) any {
			return contract.Quoted{Quote: fmt.Sprint("q", i+2), Contract: raw, Expires: s.Now.Add(hour)}
		})
	}},
	{"a term of nine thousand years", func(s *bundletest.Story) {
		contractWith(s, `"end":"2027-05-01T07:00:00Z"`, `"end":"9999-05-01T07:00:00Z"`)
	}},
	{"a time zone that is a file", func(s *bundletest.Story) {
		contractWith(s, `"time_zone":"America/Los_Angeles"`, `"time_zone":"../../../../dev/zero"`)
	}},
	{"labels without end", func(s *bundletest.Story) {
		many(s, 60_000, fabric.KindLabelled, func(i int) any {
			return fabric.Labelled{Owner: fabric.Owner(fmt.Sprintf("project/acme/p%d", i)), Label: fabric.Label{Fabric: "roce", Kind: fabric.VNI, Value: uint32(6000 + i)}, Action: "assigned"}
		})
	}},
	{"leaves unread without end", func(s *bundletest.Story) {
		many(s, 60_000, fabric.KindUnread, func(i int) any { return fabric.Unread{Fabric: "roce", Leaf: fmt.Sprintf("su%d-leaf%d", i/8, i%8)} })
		many(s, 60_000, fabric.KindReread, func(i int) any { return fabric.Unread{Fabric: "roce", Leaf: fmt.Sprintf("su%d-leaf%d", i/8, i%8)} })
	}},
	{"a leaf that flaps over many nodes", func(s *bundletest.Story) {
		strangers(s, 300)
		many(s, 20_000, fabric.KindUnread, func(i int) any { return fabric.Unread{Fabric: "roce", Leaf: fmt.Sprintf("a1-su01-leaf%d", i%8)} })
	}},
	{"looks, leases and months", func(s *bundletest.Story) {
		leases(s, 400, "7", 1)
		begin := s.Now
		many(s, 1, meter.KindObserved, func(int) any { return meter.Observed{Since: begin, WithinS: 1, BehindS: 1} })
		for i := range 4000 {
			s.Wait(time.Minute)
			s.Entries = append(s.Entries, entry(s, meter.KindObserved, meter.Observed{WithinS: 1, BehindS: 1, Looks: []meter.Look{{Fabric: "roce", From: s.Now.Add(-time.Second), Until: s.Now}}}))
			_ = i
		}
		invoices(s, 12, fmt.Sprintf(billedLine, 1, "0.00", ""))
	}},
	{"findings that quote 100 kB", func(s *bundletest.Story) {
		text := strings.Repeat("x", 120<<10)
		many(s, 300, fabric.KindLabelled, func(int) any { return fabric.Labelled{Owner: fabric.Owner(text), Action: text} })
	}},
	{"a million findings", func(s *bundletest.Story) {
		many(s, 300_000, lease.KindSlots, func(int) any { return lease.Slots{Lease: "x"} })
	}},
	{"leases that are returned beside many nodes", func(s *bundletest.Story) {
		strangers(s, 300)
		many(s, 20_000, lease.KindReturned, func(int) any { return lease.Returned{Lease: s.Lease} })
	}},
	{"keys without end", func(s *bundletest.Story) {
		var keys []string
		for i := range 20_000 {
			keys = append(keys, fmt.Sprintf(`"k%d":0`, i))
		}
		many(s, 60, lease.KindBound, func(int) any { return rawf(`{"held_links":{%s}}`, strings.Join(keys, ",")) })
	}},

	// What reads in two ways, or speaks to a terminal.
	{"a key twice", func(s *bundletest.Story) {
		bodyWith(s, lease.KindSlots, `{"lease":"acme-1/t1","lease":"acme-1/t2","tranche":"t1"}`)
	}},
	{"a key in another case", func(s *bundletest.Story) { bodyWith(s, lease.KindSlots, `{"Lease":"acme-1/t1","tranche":"t1"}`) }},
	{"a key in both cases", func(s *bundletest.Story) {
		bodyWith(s, lease.KindSlots, `{"lease":"acme-1/t1","LEASE":"acme-1/t2","tranche":"t1"}`)
	}},
	{"a key with a Kelvin sign", func(s *bundletest.Story) {
		bodyWith(s, fabric.KindLabelled, "{\"owner\":\"project/acme/train\",\"label\":{\"fabric\":\"x\",\"\u212aind\":\"vni\",\"value\":7},\"action\":\"assigned\"}")
	}},
	{"a key twice, deep inside", func(s *bundletest.Story) {
		bodyWith(s, fabric.KindLabelled, `{"owner":"project/acme/train","label":{"fabric":"x","kind":"vni","value":7,"value":8},"action":"assigned"}`)
	}},
	{"a key twice in a statement", func(s *bundletest.Story) {
		d := s.Sign(s.Owner.Statement, "x", claim.DigestOf(nil), node.TurnoverPredicate, rawf(`{"node":"a","node":"b"}`))
		bundletest.Change(s.Log, lease.KindDelivered, func(_ int, b *lease.Delivered) { b.Nodes[0].Statement = d })
	}},
}

func entry(s *bundletest.Story, kind string, body any) ledger.Entry {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return ledger.Entry{Time: s.Now, Term: 1, Kind: kind, Body: raw}
}

func bodyWith(s *bundletest.Story, kind, body string) {
	many(s, 1, kind, func(int) any { return json.RawMessage(body) })
}

// contractWith changes the bytes of the contract wherever it stands.
func contractWith(s *bundletest.Story, was, is string) {
	changed := bytes.ReplaceAll(s.Contract.Encode(), []byte(was), []byte(is))
	if bytes.Equal(changed, s.Contract.Encode()) {
		panic("the contract does not hold " + was)
	}
	bundletest.Change(s.Log, contract.KindQuoted, func(_ int, b *contract.Quoted) { b.Contract = changed })
	bundletest.Change(s.Log, contract.KindSigned, func(_ int, b *contract.Signed) { b.Contract, b.Digest = changed, claim.DigestOf(changed) })
}

// hostiles are texts that do something to a terminal or a page.
var hostiles = []string{
	"\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x9b2J", "\u009b2J", "a\rb", "a\x08b", "\u202eevil", "\u2066evil", "\u2028evil", "\x7f", "\u200fevil", "\U000e0041",
}

// spoken is a bomb for each text that speaks to a terminal, in fields of several kinds.
func spoken() []bomb {
	var out []bomb
	for i, text := range hostiles {
		if i == 2 {
			continue // it is no UTF-8: JSON holds none
		}
		quoted, _ := json.Marshal(text)
		q := string(quoted)
		for kind, body := range map[string]string{
			fabric.KindPosture:  `{"fabric":"roce","holds":true,"lacking":[` + q + `]}`,
			fabric.KindUnread:   `{"fabric":"roce","leaf":"a1-su01-leaf1","reason":` + q + `}`,
			lease.KindProposed:  `{"lease":"acme-1/t1","slot":0,"was":"a","node":` + q + `,"distance":"","reason":"","deadline":"2026-05-08T08:25:00Z"}`,
			lease.KindSlots:     `{"lease":"acme-1/t1","tranche":"t1","slots":"0","state":"up","cause":` + q + `}`,
			fabric.KindLabelled: `{"owner":"project/acme/train","label":{"fabric":` + q + `,"kind":"vni","value":7},"action":"assigned"}`,
			prove.KindVerdict:   `{"lease":` + q + `,"epoch":1,"verdict":"proven","ports":0,"red":0,"unknown":0,"certificate":""}`,
		} {
			out = append(out, bomb{fmt.Sprintf("text %d in %s", i, kind), func(s *bundletest.Story) { bodyWith(s, kind, body) }})
		}
	}
	slices.SortFunc(out, func(a, b bomb) int { return strings.Compare(a.name, b.name) })
	return out
}
