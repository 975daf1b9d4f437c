package sim_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/node"
	"bulkhead/sim"
	"bulkhead/site"
)

const day = 24 * time.Hour

func step(s *sim.Sim, n site.Index, kind string, turnover uint32) node.Step {
	return node.Step{ID: fmt.Sprintf("%s/%d/%s/1", s.Site().NodeID[n], turnover, kind), Node: n, Kind: kind, Turnover: turnover, Attempt: 1,
		Nonce: node.Nonce(claim.DigestOf([]byte("root")), s.Site().NodeID[n], turnover)}
}

func give(t testing.TB, s *sim.Sim, steps ...node.Step) {
	t.Helper()
	receipts, err := s.Nodes().Apply(t.Context(), steps, node.Fence{Term: 1})
	must(t, err)
	for _, r := range receipts {
		if !r.Taken {
			t.Fatalf("step %s was not taken: %s", r.Step, r.Error)
		}
	}
}

func commissionAll(t testing.TB, s *sim.Sim) {
	t.Helper()
	var steps []node.Step
	for n := range site.Index(s.Site().Nodes()) {
		steps = append(steps, step(s, n, node.StepCommission, 1))
	}
	give(t, s, steps...)
}

func observe(t testing.TB, s *sim.Sim, since uint64) []node.Report {
	t.Helper()
	var reports []node.Report
	for {
		o, err := s.Nodes().Observe(t.Context(), since)
		must(t, err)
		reports, since = append(reports, o.Reports...), o.Cursor
		if !o.More {
			return reports
		}
	}
}

func TestSameSeedSameLife(t *testing.T) {
	live := func(seed uint64) (reports []node.Report, readback []fabric.Observation) {
		config := sim.DefaultConfig(seed, start)
		config.FailureRate, config.DeadShare, config.LiarShare = 0.02, 0.02, 0.05
		s := open(t, "tiny", config)
		commissionAll(t, s)
		must(t, s.Inject(t.Context(), start.Add(10*day), sim.Fault{Kind: sim.Poisoned, Ports: 20, For: time.Hour}))
		// However time is cut, the same happens.
		for at := start; at.Before(start.Add(60 * day)); at = at.Add(time.Duration(1+seed%2) * 7 * time.Hour) {
			must(t, s.Advance(t.Context(), at))
		}
		must(t, s.Advance(t.Context(), start.Add(60*day)))
		for _, id := range []string{"roce", "ib", "frontend"} {
			o, err := s.Fabrics()[id].Observe(t.Context(), fabric.Scope{})
			must(t, err)
			readback = append(readback, o)
		}
		return observe(t, s, 1), readback
	}
	a, ra := live(7)
	b, rb := live(7)
	if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(ra, rb) {
		t.Error("the same seed and the same calls gave two lives")
	}
	if c, _ := live(9); reflect.DeepEqual(a, c) {
		t.Error("two seeds gave the same life")
	}
	if len(a) < 80 {
		t.Errorf("only %d reports in 60 days", len(a))
	}
}

// What becomes of a step does not depend on what else was asked, or in which
// order.
func TestStepsDoNotDependOnOthers(t *testing.T) {
	config := quiet(11)
	config.SlowShare, config.LiarShare = 0.3, 0.3
	rapid.Check(t, func(t *rapid.T) {
		alone, among := openQuiet(t, config), openQuiet(t, config)
		n := site.Index(rapid.IntRange(0, 63).Draw(t, "node"))
		one := step(alone, n, node.StepSanitize, 1)
		apply := func(s *sim.Sim, steps []node.Step) {
			if _, err := s.Nodes().Apply(t.Context(), steps, node.Fence{}); err != nil {
				t.Fatal(err)
			}
			if err := s.Advance(t.Context(), start.Add(day)); err != nil {
				t.Fatal(err)
			}
		}
		apply(alone, []node.Step{one})
		var many []node.Step
		for _, other := range rapid.Permutation([]site.Index{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "others") {
			many = append(many, step(among, other, node.StepSanitize, 1))
		}
		apply(among, append(many, one))
		a, err := alone.Nodes().Observe(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := among.Nodes().Observe(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range b.Reports {
			if r.Node == n && !reflect.DeepEqual(r, a.Reports[0]) {
				t.Fatalf("%+v alone, %+v among others", a.Reports[0], r)
			}
		}
	})
}

var tinyTemplate *site.Template

func openQuiet(t *rapid.T, config sim.Config) *sim.Sim {
	s, err := sim.FromTemplate(tinyTemplate, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMain(m *testing.M) {
	t := &testing.T{}
	tinyTemplate = template(t, "tiny")
	m.Run()
}

func TestFailuresComeAtThePublishedRate(t *testing.T) {
	config := quiet(3)
	config.FailureRate = 100 * sim.PublishedRate
	s := open(t, "small", config)
	commissionAll(t, s)
	count, failed := map[string]int{}, 0
	var cursor uint64
	for d := range 60 {
		must(t, s.Advance(t.Context(), start.Add(time.Duration(d+1)*day)))
		o, err := s.Nodes().Observe(t.Context(), cursor)
		must(t, err)
		cursor = o.Cursor
		var repairs []node.Step
		for _, r := range o.Reports {
			if r.Health == nil || !r.Health.Failed {
				continue
			}
			count[r.Health.Class]++
			failed++
			if r.Health.Class == sim.PartSwap || r.Health.Class == sim.ReturnToVendor {
				rep := step(s, r.Node, node.StepRepair, uint32(d))
				repairs = append(repairs, rep)
			}
		}
		give(t, s, repairs...)
	}
	// Nodes on the bench do not fail, so a little less than the rate.
	want := config.FailureRate * 8 * 128 * 60
	if share := float64(failed) / want; share < 0.55 || share > 1.0+4/math.Sqrt(want) {
		t.Errorf("%d failures in 60 days, at most %.0f expected, and not much less", failed, want)
	}
	for _, class := range config.Classes {
		got := float64(count[class.Name]) / float64(failed)
		if math.Abs(got-class.Share) > 4*math.Sqrt(class.Share/float64(failed)) {
			t.Errorf("%s is %.3f of all failures, expected %.3f", class.Name, got, class.Share)
		}
	}
}

func TestNodesThatAreOffDoNotFail(t *testing.T) {
	config := quiet(4)
	config.FailureRate = 10
	s := open(t, "tiny", config)
	must(t, s.Advance(t.Context(), start.Add(day)))
	if got := observe(t, s, 0); len(got) > 0 {
		t.Errorf("%d reports of nodes that are off", len(got))
	}
	give(t, s, step(s, 5, node.StepCommission, 1))
	must(t, s.Advance(t.Context(), start.Add(30*day)))
	for _, r := range observe(t, s, 1) {
		if r.Node != 5 {
			t.Errorf("node %d is off and says %+v", r.Node, r)
		}
	}
}

func TestClassesEndAsTheySay(t *testing.T) {
	for _, class := range sim.DefaultConfig(0, start).Classes {
		t.Run(class.Name, func(t *testing.T) {
			s := open(t, "tiny", quiet(5))
			give(t, s, step(s, 0, node.StepCommission, 1))
			must(t, s.Advance(t.Context(), start.Add(day)))
			must(t, s.Inject(t.Context(), start.Add(day), sim.Fault{Kind: sim.Fails, Class: class.Name}))
			if s.Failed()[class.Name] != 1 {
				t.Fatal("it did not fail")
			}
			must(t, s.Advance(t.Context(), start.Add(day+2*class.Takes)))
			if healed := s.Failed()[class.Name] == 0; healed != class.Heals {
				t.Fatalf("after %s: healed %t, expected %t", 2*class.Takes, healed, class.Heals)
			}
			if class.Heals {
				return
			}
			began := start.Add(day + 2*class.Takes)
			give(t, s, step(s, 0, node.StepRepair, 1))
			must(t, s.Advance(t.Context(), began.Add(class.Takes*7/10)))
			if s.Failed()[class.Name] != 1 {
				t.Error("the repair took no time")
			}
			must(t, s.Advance(t.Context(), began.Add(class.Takes*13/10)))
			if s.Failed()[class.Name] != 0 {
				t.Error("the repair did not end in its time")
			}
		})
	}
}

func TestHangingNodesNeverEnd(t *testing.T) {
	s := open(t, "tiny", quiet(6))
	must(t, s.Inject(t.Context(), start, sim.Fault{Kind: sim.Hangs, Node: 3}))
	give(t, s, step(s, 3, node.StepSanitize, 1), step(s, 4, node.StepSanitize, 1), step(s, 5, node.StepSanitize, 1))
	must(t, s.Inject(t.Context(), start.Add(time.Minute), sim.Fault{Kind: sim.Dead, Node: 4}))
	must(t, s.Advance(t.Context(), start.Add(365*day)))
	ended := 0
	for _, r := range observe(t, s, 0) {
		switch {
		case r.Node == 5:
			ended++
		case r.Step != "":
			t.Errorf("a node that hangs or is dead said %+v", r)
		}
	}
	if ended != 1 {
		t.Errorf("%d outcomes of the node that is well", ended)
	}
}

// A silent node answers nothing for its time and says so; what heals by itself has healed
// by then, and what does not has not.
func TestSilentNodesComeBack(t *testing.T) {
	s := open(t, "tiny", quiet(6))
	for n, class := range map[site.Index]string{1: "", 2: sim.GPUReset, 3: sim.PartSwap} {
		give(t, s, step(s, n, node.StepCommission, 1))
		if class != "" {
			must(t, s.Advance(t.Context(), start.Add(day)))
			must(t, s.Inject(t.Context(), start.Add(day), sim.Fault{Kind: sim.Fails, Node: n, Class: class}))
		}
	}
	if s.Well(2) || !s.Well(1) {
		t.Fatal("nothing ails node 2")
	}
	for n := range site.Index(4) {
		must(t, s.Inject(t.Context(), start.Add(day), sim.Fault{Kind: sim.Silent, Node: n, For: time.Hour}))
	}
	said := func(since uint64) map[site.Index]node.Health {
		last := map[site.Index]node.Health{}
		for _, r := range observe(t, s, since) {
			if r.Health != nil {
				last[r.Node] = *r.Health
			}
		}
		return last
	}
	if got := said(0); len(got) != 4 || got[0].Alive || got[1].Alive || got[1].Failed {
		t.Errorf("while they are silent: %+v", got)
	}
	must(t, s.Advance(t.Context(), start.Add(day+time.Hour)))
	if got := said(0); len(got) != 1 || !got[3].Alive || !got[3].Failed {
		t.Errorf("afterwards: %+v", got)
	}
	if got := said(1); len(got) != 4 || !got[2].Alive || got[2].Failed {
		t.Errorf("afterwards they said %+v", got)
	}
}

// What is to happen at one instant happens in the order in which it was asked
// for.
func TestOneInstantKeepsItsOrder(t *testing.T) {
	s := open(t, "tiny", quiet(6))
	at := start.Add(time.Hour)
	for value := range uint32(5) {
		must(t, s.Inject(t.Context(), at, sim.Fault{Kind: sim.Cleared}))
		must(t, s.Inject(t.Context(), at, sim.Fault{Kind: sim.LeafDown, Leaf: site.Leaf(value)}))
	}
	must(t, s.Advance(t.Context(), at))
	o, err := s.Fabrics()["roce"].Observe(t.Context(), fabric.Scope{})
	must(t, err)
	for _, d := range o.Devices {
		if d.Reachable != (d.Leaf != 4) {
			t.Errorf("leaf %d reachable %t: only the last fault stands", d.Leaf, d.Reachable)
		}
	}
}

func TestTheSeedDrawsWhatStepsTake(t *testing.T) {
	ends := func(seed uint64) (at []time.Time) {
		s := open(t, "tiny", quiet(seed))
		commissionAll(t, s)
		must(t, s.Advance(t.Context(), start.Add(day)))
		for _, r := range observe(t, s, 0) {
			at = append(at, r.At)
		}
		return at
	}
	if a, b := ends(1), ends(2); len(a) != 64 || reflect.DeepEqual(a, b) {
		t.Errorf("two seeds draw the same: %d ends", len(a))
	}
}

// tables reads a fabric back as the control plane does.
func tables(t testing.TB, s *sim.Sim, id string, since uint64, into *fabric.Tables) (o fabric.Observation) {
	t.Helper()
	o, err := s.Fabrics()[id].Observe(t.Context(), fabric.Scope{Since: since})
	must(t, err)
	for _, d := range o.Devices {
		if !d.Reachable {
			continue
		}
		readings, err := []fabric.Reading(nil), error(nil)
		if d.Source == infiniband.Source {
			readings, err = infiniband.Decode(d.Raw)
		} else {
			readings, err = ethernet.Read(s.Site(), d.Leaf, d.Raw)
		}
		must(t, err)
		located, strays := fabric.Locate(s.Site(), d.Leaf, readings)
		if len(strays) > 0 {
			t.Fatalf("strays %+v", strays)
		}
		for i := range located {
			into.Set(&located[i])
		}
	}
	return o
}

func TestFaultsOfPortsShowInReadBack(t *testing.T) {
	ctx := t.Context()
	s := open(t, "tiny", quiet(8))
	ib, _ := s.Site().FabricByID("ib")
	var n site.Index
	for s.Site().ComputeFabric(n) != ib {
		n++
	}
	for _, c := range []struct {
		name, fabric string
		fault        sim.Fault
		sees         func(r fabric.Reading) bool
	}{
		{"a foreign VNI", "roce", sim.Fault{Kind: sim.Misconfigured, Node: 2, NIC: 3, Label: 4711}, func(r fabric.Reading) bool { return len(r.Leaf) == 2 }},
		{"a foreign P_Key at the leaf", "ib", sim.Fault{Kind: sim.Misconfigured, Node: n, NIC: 3, Label: 99}, func(r fabric.Reading) bool { return len(r.Leaf) == 3 && len(r.NIC) == 2 }},
		{"a foreign P_Key at the HCA", "ib", sim.Fault{Kind: sim.Misconfigured, Node: n, NIC: 4, Label: 99, Side: "nic"}, func(r fabric.Reading) bool { return len(r.NIC) == 3 && len(r.Leaf) == 2 }},
		{"no enforcement", "frontend", sim.Fault{Kind: sim.Unenforced, Node: 2, NIC: 8}, func(r fabric.Reading) bool { return !r.EnforceIn && !r.EnforceOut }},
		{"another device", "roce", sim.Fault{Kind: sim.Miscabled, Node: 2, NIC: 5}, func(r fabric.Reading) bool { return r.Neighbour != s.Site().PortID[r.Port] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := site.PortOf(c.fault.Node, c.fault.NIC)
			driver := s.Fabrics()[c.fabric]
			family := s.Site().Fabrics[s.Site().FabricOf(p)].Family
			change := fabric.NewChange(c.fabric, []fabric.PortRow{{Port: p, Row: fabric.Compile(family, 4999&0xfff)}})
			_, err := driver.Apply(ctx, change, fabric.Fence{Term: 1})
			must(t, err)
			into := fabric.NewTables(s.Site().Ports())
			before := tables(t, s, c.fabric, 0, into)
			if r, _ := into.Get(p); c.sees(r) {
				t.Fatalf("before the fault: %+v", r)
			}
			must(t, s.Inject(ctx, time.Time{}, c.fault))
			after := tables(t, s, c.fabric, before.Cursor, into)
			if len(after.Devices) != 1 || after.Devices[0].Leaf != s.Site().LeafOf(p) {
				t.Fatalf("%d leaves changed, expected one", len(after.Devices))
			}
			if r, _ := into.Get(p); !c.sees(r) {
				t.Errorf("after the fault: %+v", r)
			}
		})
	}
}

func TestAPoisonedReadBackIsNotTheTruth(t *testing.T) {
	ctx := t.Context()
	s := open(t, "tiny", quiet(9))
	var rows []fabric.PortRow
	for p := range site.Port(s.Site().Ports()) {
		if s.Site().Fabrics[s.Site().FabricOf(p)].ID == "roce" {
			rows = append(rows, fabric.PortRow{Port: p, Row: fabric.Compile(site.RoCE, 5000)})
		}
	}
	change := fabric.NewChange("roce", rows)
	_, err := s.Fabrics()["roce"].Apply(ctx, change, fabric.Fence{Term: 1})
	must(t, err)
	into := fabric.NewTables(s.Site().Ports())
	cursor := tables(t, s, "roce", 0, into).Cursor
	must(t, s.Inject(ctx, start.Add(time.Hour), sim.Fault{Kind: sim.Poisoned, Ports: 100, For: time.Hour}))
	wrong := func() (count int) {
		o := tables(t, s, "roce", cursor, into)
		cursor = o.Cursor
		for _, r := range rows {
			if !into.Carries(r.Port, site.RoCE, 5000) {
				count++
			}
			if !s.Carries(r.Port).Equal(fabric.Compile(site.RoCE, 5000)) {
				t.Fatal("the fault changed the device itself")
			}
		}
		return count
	}
	for hour, want := range []int{0, 100, 0, 0} {
		must(t, s.Advance(ctx, start.Add(time.Duration(hour)*time.Hour)))
		if got := wrong(); got != want {
			t.Errorf("after %d hours %d ports read back wrong, expected %d", hour, got, want)
		}
	}
}

func TestALeafThatIsDownComesBack(t *testing.T) {
	ctx := t.Context()
	s := open(t, "tiny", quiet(10))
	into := fabric.NewTables(s.Site().Ports())
	cursor := tables(t, s, "roce", 0, into).Cursor
	must(t, s.Inject(ctx, start, sim.Fault{Kind: sim.LeafDown, Leaf: 2, For: 5 * time.Hour}))
	o := tables(t, s, "roce", cursor, into)
	if len(o.Devices) != 1 || o.Devices[0].Reachable || o.Devices[0].Leaf != 2 {
		t.Fatalf("observed %+v", o.Devices)
	}
	port := site.PortOf(s.Site().SUs[0].Nodes[0], 2)
	change := fabric.NewChange("roce", []fabric.PortRow{{Port: port, Row: fabric.Compile(site.RoCE, 5000)}})
	r, err := s.Fabrics()["roce"].Apply(ctx, change, fabric.Fence{})
	if err != nil || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Error, "leaf2") {
		t.Errorf("writing to it: %+v, error %v", r, err)
	}
	must(t, s.Advance(ctx, start.Add(5*time.Hour)))
	if o = tables(t, s, "roce", o.Cursor, into); len(o.Devices) != 1 || !o.Devices[0].Reachable {
		t.Errorf("afterwards %+v", o.Devices)
	}
}

func TestBadFaultsAndConfigsAreRefused(t *testing.T) {
	s := open(t, "tiny", quiet(1))
	for _, f := range []sim.Fault{
		{Kind: "meteor"}, {Kind: sim.Liar, Node: 64}, {Kind: sim.LeafDown, Leaf: 72}, {Kind: sim.Misconfigured}, {Kind: sim.Misconfigured, Label: 1 << 24},
		{Kind: sim.Misconfigured, Label: 5, Side: "nic"}, {Kind: sim.Misconfigured, Label: 5, NIC: 9}, {Kind: sim.Poisoned}, {Kind: sim.Poisoned, Ports: 1 << 30},
		{Kind: sim.Fails, Class: "bored"}, {Kind: sim.LeafDown, For: -1},
	} {
		if err := s.Inject(t.Context(), start, f); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
	for name, change := range map[string]func(*sim.Config){
		"rate": func(c *sim.Config) { c.FailureRate = math.NaN() }, "negative": func(c *sim.Config) { c.DeadShare = -1 },
		"shares": func(c *sim.Config) { c.FailureRate, c.Classes = 1, c.Classes[:1] }, "step": func(c *sim.Config) { c.Times.Sever = 0 },
		"burn-in": func(c *sim.Config) { c.Times.Attest = time.Minute }, "start": func(c *sim.Config) { c.Start = time.Time{} },
	} {
		c := quiet(1)
		change(&c)
		if _, err := sim.FromTemplate(tinyTemplate, c); err == nil {
			t.Errorf("config %s was accepted", name)
		}
	}
	h := tinyTemplate.Header()
	h.Origin, h.Seed = claim.Hardware, ""
	if _, err := sim.New(h, quiet(1)); err == nil {
		t.Error("a site that says that it is hardware was simulated")
	}
	if err := s.Advance(t.Context(), start.Add(-1)); err == nil {
		t.Error("time went back")
	}
}
