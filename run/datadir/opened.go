package datadir

import (
	"context"

	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
)

// opened is a folder that one verb works on: its ledger is open, and was compared with what
// was published of it.
type opened struct {
	Dir
	log       *sqlite.Log
	keys      *keystore.Store
	published *ledger.Published
	found     ledger.Report
	doubt     error // why the ledger is not whole, or not what was published
}

// openWith opens a folder for a verb, and its ledger by open. Whether the verb goes on in
// doubt is its own to say; it closes the ledger.
func (d Dir) openWith(ctx context.Context, master keystore.Master, open func() (*sqlite.Log, error)) (*opened, error) {
	log, err := open()
	if err != nil {
		return nil, err
	}
	keys, err := d.OpenKeys(master)
	if err != nil {
		log.Close()
		return nil, err
	}
	published := d.Published(keys)
	found, doubt := ledger.Verify(ctx, log, published)
	return &opened{d, log, keys, published, found, doubt}, nil
}
