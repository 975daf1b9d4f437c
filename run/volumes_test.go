package run_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/storage"
)

// backend is the simulated storage with a temper.
type backend struct {
	storage.Driver
	lost  int  // so many calls do their work, and their answer never comes
	liar  bool // receipts say that the old credential still works
	calls int
}

var errLost = errors.New("the connection broke before the answer came")

func (b *backend) broken() bool {
	b.calls++
	return b.calls <= b.lost
}

func (b *backend) Provision(ctx context.Context, s storage.VolumeSpec) (storage.Volume, error) {
	v, err := b.Driver.Provision(ctx, s)
	if b.broken() {
		return storage.Volume{}, errLost
	}
	return v, err
}

func (b *backend) Grant(ctx context.Context, v storage.VolumeID, p storage.Principal) (storage.Credential, error) {
	c, err := b.Driver.Grant(ctx, v, p)
	if b.broken() {
		return storage.Credential{}, errLost
	}
	return c, err
}

func (b *backend) Revoke(ctx context.Context, v storage.VolumeID, p storage.Principal) (storage.RevokeReceipt, error) {
	r, err := b.Driver.Revoke(ctx, v, p)
	if b.liar {
		r.Probe = "granted"
	}
	return r, err
}

// lease opens a control plane over a backend, sells Tidewater's contract and
// lives until days after its first day.
func (w *world) lease(t *testing.T, volumes storage.Driver, days int) *run.Plane {
	t.Helper()
	ctx := context.Background()
	p, err := run.Open(ctx, run.Config{
		Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: volumes},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, sold := w.contracts(p)["tidewater"]; !sold {
		w.sell(t, p)
	}
	w.until(t, p, time.Date(2026, 5, 1+days, 12, 0, 0, 0, time.UTC))
	return p
}

// sell signs Tidewater's contract.
func (w *world) sell(t *testing.T, p *run.Plane) {
	t.Helper()
	data, err := examples.Files.ReadFile("tiny/tidewater.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Parse("tidewater.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	w.signs(t, p, c)
}

func (w *world) contracts(p *run.Plane) (out map[string]*book.Contract) {
	p.View(func(s *book.State) { out = s.Contracts })
	return out
}

func (w *world) submit(t *testing.T, p *run.Plane, c book.Command) {
	t.Helper()
	if _, err := p.Submit(context.Background(), "", c); err != nil {
		t.Fatal(err)
	}
}

// until lives hour by hour.
func (w *world) until(t *testing.T, p *run.Plane, to time.Time) {
	t.Helper()
	if hours := int(to.Sub(w.clock.Now()) / time.Hour); hours > 0 {
		w.live(t, p, hours)
	}
}

// imported is a world whose site came into the ledger shortly before the lease.
func imported(t *testing.T) *world {
	t.Helper()
	w, template := newWorld(t)
	at := time.Date(2026, 4, 28, 0, 0, 0, 0, time.UTC)
	w.clock.Set(at)
	if err := w.sim.Advance(context.Background(), at); err != nil {
		t.Fatal(err)
	}
	if err := w.open(t).Import(context.Background(), template, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func delivered(p *run.Plane) (n int) {
	p.View(func(s *book.State) {
		for _, l := range s.Leases {
			n += l.Delivered
		}
	})
	return n
}

// kinds counts the ledger's entries by kind.
func (w *world) kinds(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for e, err := range w.log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		out[e.Kind]++
	}
	return out
}

// An answer that never comes leaves an unknown outcome: the same is asked again,
// and the ledger tells of it once.
func TestAnswersOfStorageAreLost(t *testing.T) {
	w := imported(t)
	p := w.lease(t, &backend{Driver: w.sim.Storage(), lost: 3}, 1)
	if delivered(p) == 0 {
		t.Error("nothing was delivered")
	}
	kinds := w.kinds(t)
	if kinds[storage.KindProvisioned] != 1 || kinds[storage.KindGranted] != 1 || kinds[storage.KindStray] != 0 {
		t.Errorf("expected one volume and one grant, got %v", kinds)
	}
}

// Nodes whose tenant can't reach its data are not handed over.
func TestNothingIsDeliveredWithoutItsVolumes(t *testing.T) {
	w := imported(t)
	p := w.lease(t, nil, 1)
	if n := delivered(p); n != 0 {
		t.Errorf("%d slots were delivered, and no storage is connected", n)
	}
	held := p.Plan(context.Background()).Volumes
	if len(held) != 1 || held[0].Action != book.ProvisionVolume {
		t.Errorf("the plan says %v, expected the volume that waits", held)
	}
	// It comes back, and all goes on.
	if delivered(w.lease(t, w.sim.Storage(), 2)) == 0 {
		t.Error("storage is back, and nothing was delivered")
	}
}

// A lease does not end, and its nodes are not wiped for others, while its old
// credential still works.
func TestARevocationThatEndedNoMount(t *testing.T) {
	w := imported(t)
	temper := &backend{Driver: w.sim.Storage(), liar: true}
	p := w.lease(t, temper, 1)
	must(t, p.ActAsShown(t.Context(), "", noticeOf("tidewater"), nil))
	var end time.Time
	p.View(func(s *book.State) { end = s.Leases[0].End })
	w.until(t, p, end.Add(12*time.Hour))
	if kinds := w.kinds(t); kinds[storage.KindRevoked] != 0 || kinds["lease.returned/1"] != 0 {
		t.Fatalf("a receipt that shows access was believed: %v", kinds)
	}
	p.View(func(s *book.State) {
		if s.Leases[0].Returning.IsZero() {
			t.Error("the lease is not being returned")
		}
		if len(s.Reached(s.Leases[0])) != 1 {
			t.Error("the state forgot that the lease can reach its volume")
		}
	})
	temper.liar = false
	w.until(t, p, end.Add(5*24*time.Hour))
	if kinds := w.kinds(t); kinds[storage.KindRevoked] != 1 || kinds[storage.KindDestroyed] != 0 {
		t.Errorf("expected one revocation, and the volume kept for %s: %v", book.VolumeRetention, kinds)
	}
	w.until(t, p, end.Add(book.VolumeRetention+2*time.Hour))
	if kinds := w.kinds(t); kinds[storage.KindDestroyed] != 1 {
		t.Errorf("expected the volume destroyed: %v", kinds)
	}
}

// Somebody who was let in behind the control plane is found and put out, and the
// tenant's log says so.
func TestStrayAccess(t *testing.T) {
	w := imported(t)
	p := w.lease(t, w.sim.Storage(), 1)
	if err := w.sim.Inject(context.Background(), w.clock.Now(), sim.Fault{Kind: sim.StrayGrant}); err != nil {
		t.Fatal(err)
	}
	w.until(t, p, w.clock.Now().Add(3*time.Hour))
	if kinds := w.kinds(t); kinds[storage.KindStray] != 1 || kinds[storage.KindRevoked] != 1 {
		t.Errorf("expected one stray access, found and ended: %v", kinds)
	}
	o, err := w.sim.Storage().Observe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]storage.Grant{o.Grants, o.Mounts} {
		for _, g := range list {
			if !strings.HasPrefix(string(g.Principal), "tidewater/") {
				t.Errorf("%s can still reach %s", g.Principal, g.Volume)
			}
		}
	}
}
