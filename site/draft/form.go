package draft

import (
	"bytes"
	"strings"
)

// forms are what the first line that says something tells of a file, in lower case.
var forms = []struct{ begins, says string }{
	{"vendid=", ofIBNetDiscover}, {"devid=", ofIBNetDiscover}, {"sysimgguid=", ofIBNetDiscover}, {"switchguid=", ofIBNetDiscover}, {"caguid=", ofIBNetDiscover},
	{"switchname=", ofConf}, {"blockname=", ofConf}, {"blocksizes=", ofConf},
	{"- topology", "a topology.yaml of Slurm: import it with --format slurm-yaml"},
	{"nodename=", "a slurm.conf, which does not say how nodes are cabled: give the topology.conf beside it"},
	{"site:", "a site file: import it without --format"},
	{"lldp.", ofLLDP},
}

const (
	ofIBNetDiscover = "the output of ibnetdiscover: import it with --format ibnetdiscover"
	ofConf          = "Slurm's topology.conf: import it with --format slurm-conf"
	ofLLDP          = "the output of lldpctl: import it with --format lldp"
	ofSONiC         = "a SONiC config_db.json: import it with --format sonic"
)

// OtherForm says what a file seems to be, and what imports it; "" where that is not known, or
// it is of the format that was asked for.
func OtherForm(text []byte, format string) string {
	if says := formOf(text); says != "" && !strings.HasSuffix(says, "--format "+format) {
		return "it seems to be " + says
	}
	return ""
}

func formOf(text []byte) string {
	text = text[:min(len(text), 1<<16)]
	for raw := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		line := strings.ToLower(strings.TrimSpace(string(raw)))
		if line == "" || line == "---" || line[0] == '#' {
			continue
		}
		if line[0] == '{' {
			_, after, _ := bytes.Cut(text, []byte{'{'})
			switch {
			case bytes.HasPrefix(bytes.TrimSpace(after), []byte(`"lldp"`)):
				return ofLLDP
			case bytes.Contains(text, []byte(`"DEVICE_METADATA"`)):
				return ofSONiC
			}
			return ""
		}
		for _, f := range forms {
			if strings.HasPrefix(line, f.begins) {
				return f.says
			}
		}
		return ""
	}
	return ""
}
