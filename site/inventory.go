package site

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/claim"
)

// SUInventory is the explicit inventory of one SU, the body that the ledger
// stores: nothing in it is left to a rule. About 200 kB as JSON for 64 nodes.
type SUInventory struct {
	SU     string          `json:"su"`
	Pod    string          `json:"pod"`
	Hall   string          `json:"hall"`
	Phase  string          `json:"phase"`
	Fabric string          `json:"fabric"` // compute fabric
	Kind   string          `json:"kind"`   // GPU kind
	Spares int             `json:"spares"` // the last so many nodes are spares
	Nodes  []NodeInventory `json:"nodes"`  // by position
	Leaves []LeafInventory `json:"leaves"` // by NIC: a rail leaf a GPU of a node, frontend leaf
	Links  []Link          `json:"links"`  // leaf to spine, then what the template adds
}

// NodeInventory is everything in one chassis.
type NodeInventory struct {
	ID             string    `json:"id"`             // also its host name, unless Host says otherwise
	Host           string    `json:"host,omitempty"` // host name where it is not the id
	Serial         string    `json:"serial"`         // chassis
	Rack           string    `json:"rack"`
	Pos            int       `json:"pos"` // position in the SU, from 0
	BMC            BMC       `json:"bmc"`
	NICs           []NIC     `json:"nics"` // by number: a rail a GPU, frontend
	GPUs           []Device  `json:"gpus"`
	Drives         []Device  `json:"drives"`
	DRAM           Device    `json:"dram"`
	UEFI           Device    `json:"uefi"`
	TPM            Device    `json:"tpm"`
	AttestationKey PublicKey `json:"attestation_key"` // public half of the TPM's attestation key
}

// Classes of devices.
const (
	ClassGPU  = "gpu"
	ClassNVMe = "nvme"
	ClassNIC  = "nic"
	ClassTPM  = "tpm"
	ClassDRAM = "dram"
	ClassUEFI = "uefi"
	ClassBMC  = "bmc"
)

// Device is a part that can hold a tenant's data.
type Device struct {
	Class    string `json:"class"`
	Model    string `json:"model"`
	Serial   string `json:"serial"`
	Firmware string `json:"firmware"`
}

// NIC is a network card and the leaf port that it is cabled to.
type NIC struct {
	Name     string     `json:"name"` // "rail0" to "rail7", "frontend"
	ID       HardwareID `json:"id"`   // port GUID or MAC
	Model    string     `json:"model"`
	Serial   string     `json:"serial"`
	Firmware string     `json:"firmware"`
	Leaf     string     `json:"leaf"` // id of the leaf
	Port     int        `json:"port"` // its port number, from 1
}

// Device returns the card as a device to be wiped.
func (n *NIC) Device() Device {
	return Device{Class: ClassNIC, Model: n.Model, Serial: n.Serial, Firmware: n.Firmware}
}

// BMC is the node's management controller.
type BMC struct {
	Name     string     `json:"name"` // host name on the management network
	MAC      HardwareID `json:"mac"`
	Model    string     `json:"model"`
	Serial   string     `json:"serial"`
	Firmware string     `json:"firmware"`
}

// Device returns the BMC as a device to be wiped.
func (b *BMC) Device() Device {
	return Device{Class: ClassBMC, Model: b.Model, Serial: b.Serial, Firmware: b.Firmware}
}

// LeafInventory is one leaf switch of an SU.
type LeafInventory struct {
	ID       string     `json:"id"`
	NIC      int        `json:"nic"` // which NIC of each node it serves
	Fabric   string     `json:"fabric"`
	GUID     HardwareID `json:"guid"` // node GUID or base MAC
	Model    string     `json:"model"`
	Serial   string     `json:"serial"`
	Firmware string     `json:"firmware"`
	Ports    int        `json:"ports"`
}

// Link is a cable between two switch ports, each written "switch:port".
type Link struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// HardwareID is a MAC (low 48 bits) or a GUID. Its text form is 16 lower-case
// hexadecimal digits.
type HardwareID uint64

func (h HardwareID) String() string { return string(h.append(nil)) }

func (h HardwareID) append(b []byte) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[h>>shift&15])
	}
	return b
}

// MarshalText writes the text form.
func (h HardwareID) MarshalText() ([]byte, error) { return h.append(make([]byte, 0, 16)), nil }

// UnmarshalText reads the text form and no other.
func (h *HardwareID) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	if err != nil || len(text) != 16 || strings.ToLower(string(text)) != string(text) {
		return fmt.Errorf("hardware id %.40q: expected 16 lower-case hexadecimal digits", text)
	}
	*h = HardwareID(v)
	return nil
}

// PublicKey is a P-256 public key as an uncompressed point (SEC 1, 2.3.3): 65
// bytes that begin with 4. Its text form is standard base64. The zero value is
// "none" and its text form is empty.
type PublicKey [65]byte

// IsZero reports whether there is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

func (k PublicKey) String() string {
	if k.IsZero() {
		return ""
	}
	return base64.StdEncoding.EncodeToString(k[:])
}

// MarshalText writes the text form.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the text form. It checks the form, not the curve: see Verifier.
func (k *PublicKey) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = PublicKey{}
		return nil
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != len(k) || raw[0] != 4 || len(text) != base64.StdEncoding.EncodedLen(len(k)) {
		return fmt.Errorf("public key %.100q: expected the base64 of a 65-byte uncompressed P-256 point", text)
	}
	copy(k[:], raw)
	return nil
}

// WipeDevices returns every device for which a turnover needs a receipt, in
// canonical order: GPUs, drives, NICs, DRAM, TPM, UEFI, BMC, each by number.
// A node of eight drives has 29. The slice is the caller's own.
func (n *NodeInventory) WipeDevices() []Device {
	devices := make([]Device, 0, len(n.GPUs)+len(n.Drives)+len(n.NICs)+4)
	devices = append(devices, n.GPUs...)
	devices = append(devices, n.Drives...)
	for i := range n.NICs {
		devices = append(devices, n.NICs[i].Device())
	}
	return append(devices, n.DRAM, n.TPM, n.UEFI, n.BMC.Device())
}

// DeviceDigest returns the digest of a set of devices. The order does not
// matter; a device that is listed twice does. Firmware versions are left out:
// a device that was reflashed is still the same device, and its firmware is
// attested by itself. Cost: about 3 µs for the devices of a node.
func DeviceDigest(devices []Device) claim.Digest {
	if !slices.IsSortedFunc(devices, compareDevices) {
		devices = slices.SortedFunc(slices.Values(devices), compareDevices)
	}
	buf := make([]byte, 0, 4096)
	buf = append(buf, "bulkhead devices v1\n"...)
	for i := range devices {
		// Length prefixes keep ("ab","c") and ("a","bc") apart.
		for _, text := range [...]string{devices[i].Class, devices[i].Model, devices[i].Serial} {
			buf = binary.AppendUvarint(buf, uint64(len(text)))
			buf = append(buf, text...)
		}
	}
	return sha256.Sum256(buf)
}

// compareDevices orders by class, as WipeDevices does, then by serial and model.
func compareDevices(a, b Device) int {
	if a.Class != b.Class {
		if c := classRank(a.Class) - classRank(b.Class); c != 0 {
			return c
		}
		return strings.Compare(a.Class, b.Class)
	}
	if c := strings.Compare(a.Serial, b.Serial); c != 0 {
		return c
	}
	return strings.Compare(a.Model, b.Model)
}

func classRank(class string) int {
	switch class {
	case ClassGPU:
		return 0
	case ClassNVMe:
		return 1
	case ClassNIC:
		return 2
	case ClassDRAM:
		return 3
	case ClassTPM:
		return 4
	case ClassUEFI:
		return 5
	case ClassBMC:
		return 6
	}
	return 7
}
