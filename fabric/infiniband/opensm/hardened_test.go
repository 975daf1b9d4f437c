package opensm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

// TestHardenedOpenSM: the real OpenSM comes up with the generated file, skips
// nothing in it, and does not hand over to a rogue of the greatest priority that
// lacks the key. What a rogue does beside it, only M_Keys stop, which ibsim does
// not keep; then there are two masters, and nothing may be written.
func TestHardenedOpenSM(t *testing.T) {
	sim := ibnet.Start(t, labTree)
	host := ibnet.HostName(smHost)
	text, err := conf.GenerateOptions(conf.Settings{PortGUID: ibnet.HostPortGUID(smHost), Partitions: filepath.Join(sim.Dir, "partitions-"+host+".conf"),
		Log: filepath.Join(sim.Dir, "opensm-"+host+".log"), Dumps: sim.Dir, MKey: 0x1122334455667788, SMKey: 0x99aabbccddeeff00, SAKey: 0x0123456789abcdef,
		Priority: 14, Routing: "minhop", Sweep: 1, Console: "off"})
	if err != nil {
		t.Fatal(err)
	}
	options := filepath.Join(sim.Dir, "opensm.conf")
	if err := os.WriteFile(options, text, 0o600); err != nil {
		t.Fatal(err)
	}
	sim.StartOpenSM(t, host, defaultOnly, "-F", options)
	said, err := os.ReadFile(filepath.Join(sim.Dir, "opensm-"+host+".out"))
	if err != nil || strings.Contains(string(said), "Unrecognized") || !strings.Contains(string(said), "m_key_protection_level") {
		t.Errorf("OpenSM said %s, error %v", said, err)
	}
	port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(readerHost)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := smp.New(port, smp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r := &opensm.SMPReader{Client: client}
	allowed := []uint64{ibnet.HostPortGUID(smHost)}
	if err := opensm.Master(t.Context(), r, allowed); err != nil {
		t.Fatal(err)
	}
	startRogue(t, sim, ibnet.HostName(0), "-p", "15")
	var managers []opensm.SM
	await.Must(t, "the rogue to settle", func() bool {
		g, err := r.Guard(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		managers = g.Managers
		return len(managers) == 2 && managers[0].State != "discovering" && managers[1].State != "discovering"
	})
	for _, m := range managers {
		if m.PortGUID == allowed[0] && !m.Master {
			t.Errorf("the owner's OpenSM handed over: %+v", managers)
		}
		if m.PortGUID != allowed[0] && m.Master {
			if err := opensm.Master(t.Context(), r, allowed); err == nil {
				t.Errorf("two masters, and writing goes on: %+v", managers)
			}
		}
	}
	t.Logf("managers: %+v", managers)
}
