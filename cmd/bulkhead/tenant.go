package main

import (
	"context"
	"io"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

type tenantCommand struct {
	Register tenantRegister `cmd:"" help:"Open the log of a new tenant."`
	List     tenantList     `cmd:"" help:"List the tenants."`
	Key      tenantKey      `cmd:"" help:"The keys with which a tenant signs its own acts."`
}

type tenantRegister struct {
	Tenant   string `arg:"" help:"Id of the tenant, as contracts name it: lower case, digits and dashes."`
	Name     string `required:"" placeholder:"NAME" help:"Its name, for people."`
	Internal bool   `help:"One of the owner's own teams. It is kept apart like any other tenant."`
	requestFlag
	client
	format
}

// Help is the example.
func (tenantRegister) Help() string {
	return `Example:

    bulkhead tenant register acme --name "Acme Inc."`
}

type tenantList struct {
	client
	format
}

// Help is the example.
func (tenantList) Help() string {
	return `Example:

    bulkhead tenant list`
}

// Run registers.
func (c *tenantRegister) Run(ctx context.Context) error {
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.RegisterTenant,
		&v1.RegisterTenantRequest{CommandId: c.id(), Tenant: c.Tenant, Name: c.Name, Internal: c.Internal})
	return c.done("tenant "+c.Tenant, d, err)
}

// Run lists.
func (c *tenantList) Run(ctx context.Context) error {
	found, err := collect(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListTenants, (*v1.Tenants).GetTenants)
	if err != nil {
		return err
	}
	all := &v1.Tenants{Tenants: found}
	return c.print(all, func(w io.Writer) {
		row(w, "TENANT", "NAME", "OWNER'S OWN")
		for _, t := range all.Tenants {
			row(w, t.Id, t.Name, yes(t.Internal))
		}
	})
}
