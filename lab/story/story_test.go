package story

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bulkhead/book"
	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/ledger/sqlite"
	"bulkhead/place"
	"bulkhead/run"
	"bulkhead/sim"
)

// told is a story that was told to its end.
type told struct {
	cast    Parts
	world   *sim.Sim
	log     ledger.Log
	keys    *keystore.Store
	plane   *run.Plane
	summary Summary
}

// tell tells a story in this process. A nil log is one in memory.
func tell(t *testing.T, size string, seed uint64, log ledger.Log) *told {
	t.Helper()
	cast, err := LoadParts(size)
	if err != nil {
		t.Fatal(err)
	}
	if log == nil {
		log = memory.New()
	}
	random := rand.NewChaCha8([32]byte{byte(seed)})
	keys, err := keystore.InMemory(random, Begin)
	if err != nil {
		t.Fatal(err)
	}
	world, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(seed, Begin))
	if err != nil {
		t.Fatal(err)
	}
	clock := run.NewVirtualClock(Begin)
	d := &told{cast: cast, world: world, log: log, keys: keys}
	d.plane, err = run.Open(context.Background(), run.Config{
		Log: log, Signers: keys, Clock: clock, Salt: random, Writer: "test",
		Devices: run.Devices{Fabrics: world.Fabrics(), Nodes: world.Nodes(), Storage: world.Storage()},
	})
	if err != nil {
		t.Fatal(err)
	}
	telling := New(cast, d.plane, world, clock, nil)
	telling.Officers = officersOf(t, cast)
	if err := telling.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	d.plane.View(func(s *book.State) {
		if err := book.CheckInvariants(s); err != nil {
			t.Error(err)
		}
		d.summary, err = Summarise(s, func(l *book.Lease) (place.Certificate, error) {
			body, err := log.Body(context.Background(), s.Placements[l.Certificate])
			if err != nil {
				return place.Certificate{}, err
			}
			return place.DecodeCertificate(body)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if err := d.summary.Life.Count(&e); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// officersOf is a key for each tenant, the same in every run, so that a seed tells one story.
func officersOf(t *testing.T, parts Parts) map[string]claim.SSHSigner {
	t.Helper()
	officers := map[string]claim.SSHSigner{}
	for i, tenant := range []string{parts.Flagship.Tenant, parts.Tidewater.Tenant, parts.Research.Tenant} {
		signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize)))
		if err != nil {
			t.Fatal(err)
		}
		officers[tenant] = signer
	}
	return officers
}

// TestStory tells the story on 64 and on 128 nodes and looks at what it came to.
func TestStory(t *testing.T) {
	for _, size := range []string{"tiny", "small"} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			d := tell(t, size, 1, nil)
			d.checkLeases(t)
			d.checkLife(t)
			d.checkInvoices(t)
			d.checkBundles(t)
			d.checkReplay(t)
		})
	}
}

// TestFullStory tells it on 50,000 nodes with 400,000 GPUs, as the demonstration
// does, on the embedded store.
func TestFullStory(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a minute or two: run without -short")
	}
	log, err := sqlite.Open(filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d := tell(t, "full", 1, log)
	if d.summary.Site.Nodes*8 != 400_000 {
		t.Errorf("%d nodes", d.summary.Site.Nodes)
	}
	d.checkLeases(t)
	d.checkLife(t)
	d.checkInvoices(t)
	d.checkBundles(t)
	d.checkReplay(t)
	d.flip(t)
}

// flip has the flip and truncation tests of the verifier, and that of what it may take,
// run on the flagship's bundle as it is at full size.
func (d *told) flip(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "flagship.bundle")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.plane.WriteBundle(context.Background(), "flagship", file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := d.policy(t, "flagship").Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "flagship.policy"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	test := exec.Command("go", "test", "bulkhead/bundle", "-count=1", "-timeout", "15m", "-run", "TestFlips|TestLargeTruncated|TestLargeWithinBudget")
	test.Env = append(os.Environ(), "BULKHEAD_BUNDLE="+path)
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func (d *told) checkLeases(t *testing.T) {
	for _, c := range d.summary.Contracts {
		for _, l := range c.Leases {
			if l.Delivered != l.Slots {
				t.Errorf("%s: %d of %d slots delivered", l.ID, l.Delivered, l.Slots)
			}
			if l.Cost.Less(l.Bound) {
				t.Errorf("%s: cost %+v is below its lower bound %+v", l.ID, l.Cost, l.Bound)
			}
			if want := "delivered"; c.Tenant != "tidewater" && l.State != want {
				t.Errorf("%s is %s", l.ID, l.State)
			}
		}
		if c.Tenant == "tidewater" && (c.State != "closed" || !strings.HasPrefix(c.Leases[0].State, "returned")) {
			t.Errorf("tidewater is %s, its lease %s", c.State, c.Leases[0].State)
		}
	}
	// What Tidewater gave back, the flagship has: t4 could not be filled
	// without it.
	d.plane.View(func(s *book.State) {
		w1, _ := s.LeaseByID("tidewater/w1")
		t4, _ := s.LeaseByID("flagship/t4")
		both := w1.Nodes()
		both.Intersect(t4.Nodes())
		if both.Empty() {
			t.Error("no node of Tidewater's went to the flagship")
		}
	})
}

func (d *told) checkLife(t *testing.T) {
	life := &d.summary.Life
	liars := 0
	for _, q := range life.Quarantined {
		if strings.Contains(q, "read-back shows that data is still there") {
			liars++
		}
	}
	if liars == 0 {
		t.Errorf("the lying node was not caught by read-back: %q", life.Quarantined)
	}
	if v := life.Volumes; v.Provisioned != 2 || v.Stray != 1 || v.Destroyed != 1 || v.Granted != 6 || v.Revoked != 2 || v.EndedMounts == 0 {
		t.Errorf("volumes %+v: expected two, reached by five leases and one stray, whose access and that of the returned lease ended", v)
	}
	if life.Unread != 1 {
		t.Errorf("%d leaves unread, expected the one that failed", life.Unread)
	}
	// One port is mis-configured, then many are poisoned: the brake lets at most
	// its limit of them be locked down.
	limit := d.cast.Site.Header().Policy.Brake.Ports
	if life.Drifts < 2 || life.Locked > limit+1 || life.Locked < 2 {
		t.Errorf("%d ports drifted and %d were locked down, the brake's limit is %d", life.Drifts, life.Locked, limit)
	}
	if life.Restored != life.Drifts {
		t.Errorf("%d ports drifted, %d were restored", life.Drifts, life.Restored)
	}
	if life.Drifts > limit+1 && len(life.Brakes) != 2 {
		t.Errorf("the brake: %q, expected engaged and released", life.Brakes)
	}
	if len(life.Slipped) != 1 || len(life.Late) == 0 {
		t.Errorf("slipped %q, late %q", life.Slipped, life.Late)
	}
	if len(life.Failures) == 0 || life.Turnovers < d.summary.Site.Nodes {
		t.Errorf("%v failures, %d turnovers of %d nodes", life.Failures, life.Turnovers, d.summary.Site.Nodes)
	}
}

func (d *told) checkInvoices(t *testing.T) {
	count := map[string]int{}
	var issued []book.Invoice
	d.plane.View(func(s *book.State) { issued = append(issued, s.Invoices...) })
	for _, entry := range issued {
		i, err := d.plane.Invoice(context.Background(), entry.Statement)
		if err != nil {
			t.Fatal(err)
		}
		count[i.Contract]++
		sum := new(big.Rat)
		for _, line := range i.Lines {
			amount, ok := new(big.Rat).SetString(line.Amount)
			if !ok {
				t.Fatalf("%s %s: amount %q", i.Number, line.ID, line.Amount)
			}
			sum.Add(sum, amount)
		}
		if total, ok := new(big.Rat).SetString(i.Total); !ok || total.Cmp(sum) != 0 || entry.Total != i.Total {
			t.Errorf("%s: total %s, entry %s, the lines add up to %s", i.Number, i.Total, entry.Total, sum.FloatString(2))
		}
		if i.Contract == "flagship" && i.Period.From.Month() == time.July {
			late := false
			for _, line := range i.Lines {
				late = late || strings.HasPrefix(line.ID, "late/t3") && strings.HasPrefix(line.Amount, "-") && len(line.Entries) > 0
			}
			if !late {
				t.Errorf("%s: no discount for the hall that slipped", i.Number)
			}
		}
	}
	if count["flagship"] != 3 || count["tidewater"] != 2 || count["research"] != 3 {
		t.Errorf("invoices: %v, expected three months for flagship and research and two for tidewater", count)
	}
}

// policy is a tenant's, that trusts what the owner published.
func (d *told) policy(t *testing.T, tenant string) *bundle.Policy {
	t.Helper()
	trust, err := d.keys.Trust(d.cast.Site.Header().Name)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := trust.Encode()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := bundletest.Accepting(encoded, tenant)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func (d *told) checkBundles(t *testing.T) {
	for _, tenant := range []string{"flagship", "tidewater", "research"} {
		policy := d.policy(t, tenant)
		own, err := claim.SSHKeyOf(officersOf(t, d.cast)[tenant].PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		policy.TenantKeys = []bundle.TenantKey{{Public: own.String()}}
		report, err := bundletest.Report(policy, func(w io.Writer) (bundle.Manifest, error) { return d.plane.WriteBundle(t.Context(), tenant, w) })
		if err != nil {
			t.Error(err)
			continue
		}
		if tenant == "tidewater" && len(report.Acts) == 0 {
			t.Error("the report of tidewater does not tell of its notice")
		}
		for _, a := range report.Acts {
			if a.Party == contract.Tenant && a.Key != own.Fingerprint() {
				t.Errorf("%s of %s is shown by %s %s, expected the tenant's own key", a.Act, a.Contract, a.How, a.Key)
			}
		}
		for _, i := range report.Invoices {
			if !i.Recomputed {
				t.Errorf("invoice %s was not recomputed", i.Number)
			}
		}
		if len(report.NotProven) == 0 || !strings.Contains(strings.Join(report.NotProven, "\n"), "simulated") {
			t.Errorf("the report of %s does not say that devices are simulated: %q", tenant, report.NotProven)
		}
	}
}

// checkReplay folds the ledger again, from its first entry and from a snapshot.
func (d *told) checkReplay(t *testing.T) {
	fold := func(s *book.State) *book.State {
		t.Helper()
		for e, err := range d.log.Read(context.Background(), s.Seq+1) {
			if err != nil {
				t.Fatal(err)
			}
			if err := book.Apply(s, &e, run.BodiesOf(d.log)); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	want, err := hash(d.plane)
	if err != nil {
		t.Fatal(err)
	}
	again := book.New()
	half := book.New()
	var snapshot []byte
	for e, err := range d.log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if err := book.Apply(half, &e, run.BodiesOf(d.log)); err != nil {
			t.Fatal(err)
		}
		if e.Seq == d.summary.Ledger.Entries/2 {
			if snapshot, err = half.Snapshot(); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	restored, err := book.Restore(snapshot, run.BodiesOf(d.log))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*book.State{"replay": fold(again), "snapshot and tail": fold(restored)} {
		if got, err := s.Hash(); err != nil || got != want {
			t.Errorf("%s gives state %s, the writer has %s (%v)", name, got, want, err)
		}
	}
}

func hash(p *run.Plane) (d claim.Digest, err error) {
	p.View(func(s *book.State) { d, err = s.Hash() })
	return d, err
}

// TestSameSeedSameStory tells a story twice: everything but the salts, which
// come from the same source here, follows from the seed.
func TestSameSeedSameStory(t *testing.T) {
	t.Parallel()
	var hashes [2]claim.Digest
	for i := range hashes {
		var err error
		if hashes[i], err = hash(tell(t, "tiny", 7, nil).plane); err != nil {
			t.Fatal(err)
		}
	}
	if hashes[0] != hashes[1] {
		t.Errorf("the same seed gave state %s and state %s", hashes[0], hashes[1])
	}
}

// TestStoryOnSQLite tells it on the embedded store, opens that again and finds
// the same state.
func TestStoryOnSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	log, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d := tell(t, "tiny", 3, log)
	want, err := hash(d.plane)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if log, err = sqlite.Open(path); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s := book.New()
	for e, err := range log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if err := book.Apply(s, &e, run.BodiesOf(log)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Hash(); err != nil || got != want {
		t.Errorf("reopened: state %s, expected %s (%v)", got, want, err)
	}
}
