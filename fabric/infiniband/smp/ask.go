package smp

import (
	"context"

	"bulkhead/fabric/infiniband/mad"
)

// NodeInfo asks a node who it is.
func (c *Client) NodeInfo(ctx context.Context, to Address, mkey uint64) (mad.NodeInfo, Answer, error) {
	a, err := c.One(ctx, Request{To: to, Attribute: mad.AttrNodeInfo, MKey: mkey})
	return mad.ParseNodeInfo(&a.Data), a, err
}

// PortInfo asks for a port's state; 0 is the port that is asked, or a switch's
// port 0.
func (c *Client) PortInfo(ctx context.Context, to Address, port uint8, mkey uint64) (mad.PortInfo, Answer, error) {
	a, err := c.One(ctx, Request{To: to, Attribute: mad.AttrPortInfo, Modifier: uint32(port), MKey: mkey})
	return mad.ParsePortInfo(&a.Data), a, err
}

// PKeyBlock asks for a block of a P_KeyTable; the port is 0 but for external
// ports of a switch.
func (c *Client) PKeyBlock(ctx context.Context, to Address, switchPort uint8, block uint16, mkey uint64) (mad.PKeyBlock, Answer, error) {
	a, err := c.One(ctx, Request{To: to, Attribute: mad.AttrPKeyTable, Modifier: mad.PKeyModifier(switchPort, block), MKey: mkey})
	return mad.ParsePKeyBlock(&a.Data), a, err
}

// SMInfo asks the subnet manager behind a port who it is.
func (c *Client) SMInfo(ctx context.Context, to Address, mkey uint64) (mad.SMInfo, Answer, error) {
	a, err := c.One(ctx, Request{To: to, Attribute: mad.AttrSMInfo, MKey: mkey})
	return mad.ParseSMInfo(&a.Data), a, err
}

// LocalPort asks the local port who it is.
func (c *Client) LocalPort(ctx context.Context, keys Keys) (guid uint64, err error) {
	a, err := c.One(ctx, Request{Attribute: mad.AttrNodeInfo, MKey: keys.behind(0, 0)})
	return mad.ParseNodeInfo(&a.Data).PortGUID, err
}

// ManagerLID asks the local port who manages the subnet, as its manager has told it.
func (c *Client) ManagerLID(ctx context.Context, keys Keys) (uint16, error) {
	info, _, err := c.PortInfo(ctx, Address{}, 0, keys.behind(0, 0))
	return info.MasterSMLID, err
}
