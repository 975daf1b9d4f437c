package fabric

import (
	"encoding/binary"

	"bulkhead/claim"
	"bulkhead/site"
)

// Numbering returns a digest of how a site numbers the edge ports of one of its
// fabrics: each port with the identity behind it, its leaf and the number there.
// Two processes that give the same digest mean the same port by the same number.
// Cost: O(ports of the site), about 25 ns each.
func Numbering(s *site.Site, index int) claim.Digest {
	b := append([]byte("bulkhead numbering v1\n"), s.Fabrics[index].ID...)
	for p, id := range s.PortID {
		port := site.Port(p)
		if s.FabricOf(port) != index {
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(port))
		b = binary.BigEndian.AppendUint64(b, id)
		b = binary.BigEndian.AppendUint32(b, uint32(s.LeafOf(port)))
		b = binary.BigEndian.AppendUint16(b, uint16(s.LeafPort(port)))
	}
	return claim.DigestOf(b)
}
