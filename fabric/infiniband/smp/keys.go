package smp

// Keys says which M_Key to send to whom. The zero value sends none. A port whose
// protection is at level 2 or above stays silent to any other M_Key, so a port
// that was swapped shows as one that does not answer. A wrong recipient learns
// the key: where each port has one of its own (as it should), it learns one that
// is of no use elsewhere.
type Keys struct {
	// Of returns the M_Key of the port with a GUID; for a switch, its node GUID.
	Of func(portGUID uint64) uint64

	// Behind returns the M_Key of what should be at the other end of a cable:
	// of the node with that GUID, by that port. The GUID 0 stands for the local
	// node itself.
	Behind func(nodeGUID uint64, port uint8) uint64
}

func (k Keys) of(portGUID uint64) uint64 {
	if k.Of == nil {
		return 0
	}
	return k.Of(portGUID)
}

func (k Keys) behind(nodeGUID uint64, port uint8) uint64 {
	if k.Behind == nil {
		return 0
	}
	return k.Behind(nodeGUID, port)
}

// OneKey sends the same M_Key to everybody.
func OneKey(key uint64) Keys {
	return Keys{Of: func(uint64) uint64 { return key }, Behind: func(uint64, uint8) uint64 { return key }}
}
