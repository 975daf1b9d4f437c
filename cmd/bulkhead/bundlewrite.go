package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
)

type bundleWrite struct {
	Tenant string `placeholder:"ID" help:"Whose. A tenant's own token needs none."`
	Out    string `required:"" placeholder:"FILE" help:"File to write."`
	client
	format
}

// Help is the example.
func (bundleWrite) Help() string {
	return `An auditor writes any tenant's; a tenant's own token writes its own.

Examples:

    bulkhead bundle write --token-file acme.token --out acme.bundle
    bulkhead bundle write --token-file auditor.token --tenant acme --out acme.bundle`
}

// cause leaves the name of a file out of an error that names it otherwise.
func cause(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// written is a file that a verb made.
type written struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
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
		return fmt.Errorf("--out %s: %w", c.Out, cause(err))
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
		if c.Tenant == "" && connect.CodeOf(err) == connect.CodeInvalidArgument {
			return usagef("--tenant: the token is the owner's and belongs to no tenant: give --tenant ID, whose bundle it is to be")
		}
		return err
	}
	if err := partial.Close(); err != nil {
		return err
	}
	if err := os.Rename(partial.Name(), c.Out); err != nil {
		return err
	}
	return c.print(written{File: c.Out, Bytes: size}, func(w io.Writer) { say(w, "%s: %d bytes", c.Out, size) })
}
