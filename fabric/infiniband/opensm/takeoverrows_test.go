package opensm

import (
	"context"
	"errors"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/site"
)

// Lacking names the items that this OpenSM does not have.
func (r *Report) Lacking() []string {
	var out []string
	for _, c := range r.Checks {
		if c.Grade == NotHere {
			out = append(out, c.Name)
		}
	}
	return out
}

// TakeOver puts rows in place of a file that is not ours, for an operator who
// looked at it: found is its digest. Ports that are not named are closed. It
// returns the ports that did not follow.
func (d *Driver) TakeOver(ctx context.Context, rows []fabric.PortRow, f fabric.Fence, found claim.Digest) ([]fabric.PortError, error) {
	want, asked := members{}, map[site.Port]fabric.Row{}
	var ports []site.Port
	for _, r := range rows {
		ports = append(ports, r.Port)
	}
	if err := d.checkPorts(ports); err != nil {
		return nil, err
	}
	var failed []fabric.PortError
	for _, r := range rows {
		guid := d.Site.PortID[r.Port]
		if err := errors.Join(r.Row.Check(site.InfiniBand, 0), expressible(r.Row, d.serves(guid))); err != nil {
			failed = append(failed, fabric.PortError{Port: r.Port, Error: err.Error()})
			continue
		}
		row := floor(r.Row)
		want[guid], asked[r.Port] = row.NIC, row
	}
	text, err := conf.CheckedPartitions(want.partitioning())
	if err != nil {
		return nil, err
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.Manager.File.TakeOver(ctx, text, f, found); err != nil {
		return nil, err
	}
	if err := d.Manager.Reload.Reload(ctx); err != nil {
		return nil, err
	}
	left, err := d.Manager.Settle(ctx, d.remaining(asked))
	return append(failed, left...), err
}
