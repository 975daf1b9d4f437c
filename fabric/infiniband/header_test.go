package infiniband

// DecodeHeader reads what a capture says of the leaf itself. NICCap is 0.
func DecodeHeader(raw []byte) (Header, error) {
	h, _, err := decode(raw)
	return h, err
}
