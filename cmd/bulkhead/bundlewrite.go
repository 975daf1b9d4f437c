package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
)

type bundleWrite struct {
	Tenant string `placeholder:"ID" help:"Whose. A tenant's own token needs none."`
	Out    string `required:"" placeholder:"FILE" help:"File to write."`
	client
}

// Help is the example.
func (bundleWrite) Help() string {
	return `Example:

    bulkhead bundle write --tenant acme --out acme.bundle`
}

// Run writes a bundle. A file appears only when it is whole.
func (c *bundleWrite) Run(ctx context.Context) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	stream, err := api.WriteBundle(ctx, connect.NewRequest(&v1.TenantRef{Tenant: c.Tenant}))
	if err != nil {
		return err
	}
	defer stream.Close()
	partial, err := os.CreateTemp(filepath.Dir(c.Out), ".bundle-*")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	defer partial.Close()
	size := 0
	for stream.Receive() {
		n, err := partial.Write(stream.Msg().Data)
		if err != nil {
			return err
		}
		size += n
	}
	if err := stream.Err(); err != nil {
		return err
	}
	if err := partial.Close(); err != nil {
		return err
	}
	if err := os.Rename(partial.Name(), c.Out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %d bytes\n", c.Out, size)
	return err
}
