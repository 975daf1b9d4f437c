package draft

import "testing"

// A file is told by the first line that says something; one of the format that was asked for
// is not another.
func TestOtherForm(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "x": "", "{}": "", "# only\n": "",
		"#\n# Topology file\n\nvendid=0x2c9\n": "ibnetdiscover",
		"switchguid=0x1(1)\n":                  "ibnetdiscover",
		"# tree\nSwitchName=a Nodes=b\n":       "slurm-conf",
		"BlockSizes=4\n":                       "slurm-conf",
		"---\n- topology: a\n":                 "slurm-yaml",
		"lldp.swp1.via=LLDP\n":                 "lldp",
		"{ \"lldp\": {}}":                      "lldp",
		"{\"FEATURE\": {\"lldp\": {}},\n \"DEVICE_METADATA\": {}}": "sonic",
		"{\"FEATURE\": {\"lldp\": {}}}":                            "",
		"# ours\nsite: a\n":                                        "-",
		"NodeName=a\n":                                             "-",
	} {
		for _, format := range []string{"ibnetdiscover", "slurm-conf", "slurm-yaml", "lldp", "sonic"} {
			if got := OtherForm([]byte(text), format); (got == "") != (want == "" || want == format) {
				t.Errorf("%q as %s: %q", text, format, got)
			}
		}
	}
}
