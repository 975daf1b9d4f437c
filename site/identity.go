package site

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Ids are built from the stable ids above them, never from counters over the
// whole site, so that an edit of a template renumbers nothing. They are DNS
// labels: a node id is its host name.

// NICName returns the name of a NIC: "rail0" to "rail7", "frontend".
func NICName(nic int) string {
	if nic == Frontend {
		return "frontend"
	}
	return "rail" + strconv.Itoa(nic)
}

func twoDigits(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

func suID(pod string, number int) string { return pod + "-su" + twoDigits(number) } // from 1
func nodeID(su string, pos int) string   { return su + "-n" + twoDigits(pos+1) }    // pos from 0
func rackID(su string, rack int) string  { return su + "-r" + strconv.Itoa(rack+1) }

func leafID(su string, nic int) string {
	if nic == Frontend {
		return su + "-front"
	}
	return su + "-leaf" + strconv.Itoa(nic)
}

// Plane is one switching plane of a pod: the spines that one leaf of each of
// its SUs is cabled to, and the cores above them.
type Plane struct {
	Pod    string
	NIC    int // a rail, from 0, or Frontend
	Fabric string
	Spines int
	Cores  int
}

// SpineID returns the id of a spine of the plane, number from 1 to Spines. It
// is where uplink number of each leaf of the plane goes.
func (p Plane) SpineID(number int) string {
	return p.Pod + "-" + planeName(p.NIC) + "-spine" + twoDigits(number)
}

func planeName(nic int) string {
	if nic == Frontend {
		return "front"
	}
	return NICName(nic)
}

// plane returns the plane of a pod. The frontend has no cores of its own: they
// are not modelled.
func (s Shape) plane(pod string, nic int, fabric string) Plane {
	if nic == Frontend {
		return Plane{Pod: pod, NIC: nic, Fabric: fabric, Spines: s.FrontendSpines}
	}
	return Plane{Pod: pod, NIC: nic, Fabric: fabric, Spines: s.Spines, Cores: s.Cores}
}

// The identities of a simulated site's devices are made up from its seed, so
// that the same template gives the same inventory everywhere. MACs carry the
// "locally administered" bit: no real device has one of them.

func derive(seed, purpose, id string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, []byte(seed))
	mac.Write([]byte("bulkhead site " + purpose + "\x00" + id))
	return [sha256.Size]byte(mac.Sum(nil))
}

// addressBlock returns the block of 4096 addresses of an SU: 34 bits. Two of
// 784 SUs share one with probability 2e-5; the template is refused then.
func addressBlock(seed, su string) uint64 {
	d := derive(seed, "addresses", su)
	return binary.BigEndian.Uint64(d[:8]) >> 30
}

const (
	leafSlot = 255 // slot of the leaves in an SU's address block; nodes have 0 to MaxSUNodes-1
	bmcSlot  = 9   // device number of the BMC beside NICs 0 to 8
)

// mac returns a unicast, locally administered MAC: 34 bits block, 8 bits slot,
// 4 bits device.
func mac(block uint64, slot, device int) uint64 {
	v := block<<12 | uint64(slot)<<4 | uint64(device)
	return (v>>40<<2|2)<<40 | v&(1<<40-1)
}

// guid returns the InfiniBand GUID of a MAC, as vendors form it: 03 00 between
// its halves.
func guid(mac uint64) uint64 { return mac>>24<<40 | 0x0300<<24 | mac&(1<<24-1) }

var serialText = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// chassisSerial returns 10 characters, 50 bits: two of 50,000 chassis share one
// with probability 1e-6, and AddSU would refuse the second.
func chassisSerial(seed, node string) string {
	d := derive(seed, "serial", node)
	return serialText.EncodeToString(d[:7])[:10]
}

// AttestationPrivateKey returns the attestation key of the TPM of a simulated
// node: P-256, derived from the site's seed and the node's id. It is what the
// simulator signs TPM quotes with. Whoever knows the seed knows the key, so a
// signature by it proves nothing about hardware, and its origin says so.
// Cost: about 15 µs.
func AttestationPrivateKey(seed, node string) (*ecdsa.PrivateKey, error) {
	for attempt := range 8 {
		d := derive(seed, "attestation key "+strconv.Itoa(attempt), node)
		// Fails only for a number outside the group, with probability 2^-32.
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:]); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("attestation key of node %s: no key after 8 derivations", node)
}

// attestationPublicKey returns the public half of AttestationPrivateKey.
func attestationPublicKey(seed, node string) (PublicKey, error) {
	key, err := AttestationPrivateKey(seed, node)
	if err != nil {
		return PublicKey{}, err
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		return PublicKey{}, fmt.Errorf("attestation key of node %s: %w", node, err)
	}
	return PublicKey(raw), nil
}

// Verifier returns the key in the form that crypto/ecdsa verifies with. An
// error means that it is no point of the curve, or none at all.
func (k PublicKey) Verifier() (*ecdsa.PublicKey, error) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), k[:])
	if err != nil {
		return nil, fmt.Errorf("attestation key: expected a point of P-256: %w", err)
	}
	return key, nil
}
