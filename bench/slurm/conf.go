package slurm

import (
	"fmt"
	"strings"

	"bulkhead/bench/sites"
)

// conf is the slurm.conf of a controller without node daemons: nodes are CLOUD
// nodes, which need none, and nothing ever starts.
func conf(t *sites.Tree, dir, user string, port int) string {
	return fmt.Sprintf(`ClusterName=bench
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=%[3]d
SlurmUser=%[4]s
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=%[1]s/state
SlurmctldPidFile=%[1]s/slurmctld.pid
SlurmctldLogFile=%[1]s/slurmctld.log
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
TopologyPlugin=topology/tree
SchedulerParameters=defer
ProctrackType=proctrack/linuxproc
MpiDefault=none
ResumeProgram=/bin/true
SuspendProgram=/bin/true
SuspendTime=3600000
NodeName=n[0-%[2]d] CPUs=8 RealMemory=1000 State=CLOUD
PartitionName=all Nodes=ALL Default=YES OverSubscribe=EXCLUSIVE MaxTime=INFINITE State=UP
`, dir, t.Nodes()-1, port, user)
}

// topology is the site as topology.conf: a switch an SU, pod and hall, and one
// over all. Racks are not in it unless racks is set: they share the SU's leaves.
func topology(t *sites.Tree, racks bool) string {
	var b strings.Builder
	node, pod, su := 0, 0, 0
	for h, hall := range t.Halls {
		firstPod := pod
		for _, p := range hall {
			firstSU := su
			for _, nodes := range p {
				if !racks {
					fmt.Fprintf(&b, "SwitchName=su%d Nodes=n[%d-%d]\n", su, node, node+nodes-1)
				} else {
					count := 0
					for at := 0; at < nodes; at += t.Shape.RackNodes {
						fmt.Fprintf(&b, "SwitchName=su%dr%d Nodes=n[%d-%d]\n", su, count, node+at, node+min(at+t.Shape.RackNodes, nodes)-1)
						count++
					}
					fmt.Fprintf(&b, "SwitchName=su%d Switches=su%dr[0-%d]\n", su, su, count-1)
				}
				node += nodes
				su++
			}
			fmt.Fprintf(&b, "SwitchName=pod%d Switches=su[%d-%d]\n", pod, firstSU, su-1)
			pod++
		}
		fmt.Fprintf(&b, "SwitchName=hall%d Switches=pod[%d-%d]\n", h, firstPod, pod-1)
	}
	fmt.Fprintf(&b, "SwitchName=site Switches=hall[0-%d]\n", len(t.Halls)-1)
	return b.String()
}

// hostList writes nodes as Slurm does, in pieces that fit a command line.
func hostLists(nodes []int32) []string {
	const limit = 100_000 // bytes; Linux allows 131,072 an argument
	var out []string
	for len(nodes) > 0 {
		take := min(len(nodes), limit/6) // "12345," at worst
		out = append(out, "n["+sites.Ranges(nodes[:take])+"]")
		nodes = nodes[take:]
	}
	return out
}

// parseHosts reads what Slurm writes: n[0-63,70] or n5.
func parseHosts(text string) ([]int32, error) {
	list := strings.TrimPrefix(text, "n")
	list = strings.TrimSuffix(strings.TrimPrefix(list, "["), "]")
	nodes, err := sites.ParseRanges(list)
	if err != nil {
		return nil, fmt.Errorf("host list: %w", err)
	}
	return nodes, nil
}
