package sites

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
)

// Failure is a node that fails at an hour of the year and works again Repair
// hours later. What heals by itself needs no other node meanwhile.
type Failure struct {
	Hour   float64
	Node   int32
	Repair float64
	Heals  bool
}

// Published is 419 unexpected interruptions in 54 days on 16,384 GPUs, as
// published of the training of Llama 3: failures a GPU and day. On 400,000 GPUs
// it is 189 a day.
const Published = 419.0 / 54 / 16384

// mix is an assumption, the same as the simulator's: most of the published
// interruptions ended with a restart.
var mix = []struct {
	share, hours float64
	heals        bool
}{{0.55, 0.25, true}, {0.20, 1.0 / 12, true}, {0.20, 24, false}, {0.05, 240, false}}

// Failures draws what fails in a number of days: at the published rate, any node
// that is not down already, independently of each other. A repair takes from half
// to one and a half of its class's time.
func Failures(t *Tree, days int, seed uint64) []Failure {
	r := rand.New(rand.NewPCG(seed, 190))
	perHour := Published * float64(t.Shape.NodeGPUs*t.Nodes()) / 24
	until := make([]float64, t.Nodes())
	var out []Failure
	for hour := 0.0; ; {
		hour += -math.Log(1-r.Float64()) / perHour
		if hour >= float64(24*days) {
			return out
		}
		n := int32(r.IntN(t.Nodes()))
		at := r.Float64()
		class := 0
		for at >= mix[class].share && class < len(mix)-1 {
			at -= mix[class].share
			class++
		}
		repair := mix[class].hours * (0.5 + r.Float64())
		if hour < until[n] {
			continue
		}
		until[n] = hour + repair
		out = append(out, Failure{hour, n, repair, mix[class].heals})
	}
}

// EncodeFailures writes failures as text, a line each.
func EncodeFailures(all []Failure) []byte {
	var b bytes.Buffer
	for _, f := range all {
		heals := 0
		if f.Heals {
			heals = 1
		}
		fmt.Fprintf(&b, "%.4f %d %.4f %d\n", f.Hour, f.Node, f.Repair, heals)
	}
	return b.Bytes()
}

// DecodeFailures reads what EncodeFailures wrote, on a site of that many nodes.
func DecodeFailures(data []byte, nodes int) ([]Failure, error) {
	var out []Failure
	last, line := 0.0, 0
	for text := range strings.Lines(string(data)) {
		line++
		var f Failure
		var heals int
		if _, err := fmt.Sscanf(text, "%f %d %f %d", &f.Hour, &f.Node, &f.Repair, &heals); err != nil || f.Hour < last || f.Node < 0 || int(f.Node) >= nodes || !(f.Repair >= 0) || heals < 0 || heals > 1 {
			return nil, fmt.Errorf("failures: line %d: %.60q, expected hour, node, hours of repair and 0 or 1, by hour", line, text)
		}
		f.Heals, last = heals == 1, f.Hour
		out = append(out, f)
	}
	return out, nil
}
