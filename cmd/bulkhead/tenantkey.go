package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/custody"
)

type tenantKey struct {
	Create   tenantKeyCreate   `cmd:"" help:"Make a key file, as ssh-keygen does."`
	Register tenantKeyRegister `cmd:"" help:"Register a public key of the tenant's own."`
	Revoke   tenantKeyRevoke   `cmd:"" help:"End a key."`
	List     tenantKeyList     `cmd:"" help:"List the tenant's keys."`
}

// keyActValid is for how long the signature that registers or revokes a key may be used.
const keyActValid = 10 * time.Minute

type tenantKeyCreate struct {
	File    string `arg:"" help:"Private key file to write, for its owner alone; the public half goes into FILE.pub."`
	Comment string `placeholder:"TEXT" help:"Comment in FILE.pub."`
	format
}

// Help is the example.
func (tenantKeyCreate) Help() string {
	return `Makes an Ed25519 key without a passphrase, on the tenant's own machine. Any key of
ssh-keygen does as well (ed25519, ecdsa), and one on a hardware key that asks for a
touch is better: ssh-keygen -t ed25519-sk.

Example:

    bulkhead tenant key create officer`
}

// Run makes a key.
func (c *tenantKeyCreate) Run() error {
	key, err := newKeyFile(c.File, c.Comment)
	if err != nil {
		return err
	}
	return c.print(map[string]string{"file": c.File, "public": key.String(), "fingerprint": key.Fingerprint()}, func(w io.Writer) {
		row(w, "private", c.File)
		row(w, "public", c.File+".pub")
		row(w, "fingerprint", key.Fingerprint())
	})
}

type tenantKeyRegister struct {
	Tenant string `arg:"" help:"Id of the tenant."`
	Key    string `required:"" placeholder:"FILE" help:"The key: its private key file, or a .pub file whose private half is in the SSH agent. It signs that you hold it."`
	With   string `placeholder:"FILE" help:"A key that is registered and counts, which says that this one is the tenant's too. Not with the first key."`
	Name   string `placeholder:"NAME" help:"What you call the key, for the ledger."`
	requestFlag
	client
	format
}

// Help is the example.
func (tenantKeyRegister) Help() string {
	return `An administrator of the tenant registers. From then on a token alone puts no version
of a contract in force. Register two: the last key that counts can't be revoked, and a
lost one can't be replaced without another. Put the public keys into your own policy
(tenant_keys; bulkhead-verify policy init --tenant-key officer.pub): what the ledger
says is yours is the owner's word.

Examples:

    bulkhead tenant key register acme --key officer --token-file officer.token
    bulkhead tenant key register acme --key second.pub --with officer --token-file officer.token`
}

// Run registers.
func (c *tenantKeyRegister) Run(ctx context.Context) error {
	public, err := publicHalf(c.Key)
	if err != nil {
		return err
	}
	r := &v1.TenantKeyRequest{CommandId: c.id(), Tenant: c.Tenant, PublicKey: public.String(), Name: c.Name}
	act, err := keyAct(ctx, &c.client, contract.ActRegisterKey, c.Tenant, public)
	if err != nil {
		return err
	}
	r.Assent = act.Encode()
	possession, err := signWith(c.Key, act)
	if err != nil {
		return err
	}
	r.Possession = []byte(possession.Signature)
	if c.With != "" {
		warrant, err := signWith(c.With, act)
		if err != nil {
			return err
		}
		r.Warrant = []byte(warrant.Signature)
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.RegisterTenantKey, r)
	return c.done("key "+public.Fingerprint(), d, err)
}

type tenantKeyRevoke struct {
	Tenant      string `arg:"" help:"Id of the tenant."`
	Fingerprint string `arg:"" help:"Fingerprint of the key, as tenant key list shows it."`
	With        string `required:"" placeholder:"FILE" help:"A key that counts and says so; it may be the one that is revoked."`
	requestFlag
	client
	format
}

// Help is the example.
func (tenantKeyRevoke) Help() string {
	return `What it has signed stays signed. The last key that counts can't be revoked.

Example:

    bulkhead tenant key revoke acme SHA256:FINGERPRINT --with second --token-file officer.token`
}

// Run revokes.
func (c *tenantKeyRevoke) Run(ctx context.Context) error {
	keys, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListTenantKeys, &v1.TenantRef{Tenant: c.Tenant})
	if err != nil {
		return err
	}
	for _, k := range keys.Keys {
		if k.Fingerprint != c.Fingerprint {
			continue
		}
		public, err := claim.ParseSSHKey(k.PublicKey)
		if err != nil {
			return err
		}
		act, err := keyActOf(keys, contract.ActRevokeKey, c.Tenant, public)
		if err != nil {
			return err
		}
		warrant, err := signWith(c.With, act)
		if err != nil {
			return err
		}
		d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.RevokeTenantKey, &v1.TenantKeyRequest{
			CommandId: c.id(), Tenant: c.Tenant, PublicKey: k.PublicKey, Assent: act.Encode(), Warrant: []byte(warrant.Signature),
		})
		return c.done("key "+c.Fingerprint+" revoked", d, err)
	}
	return fmt.Errorf("tenant %s has no key %s: see bulkhead tenant key list %s", c.Tenant, c.Fingerprint, c.Tenant)
}

type tenantKeyList struct {
	Tenant string `arg:"" help:"Id of the tenant."`
	client
	format
}

// Help is the example.
func (tenantKeyList) Help() string {
	return `Example:

    bulkhead tenant key list acme`
}

// Run lists.
func (c *tenantKeyList) Run(ctx context.Context) error {
	keys, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListTenantKeys, &v1.TenantRef{Tenant: c.Tenant})
	if err != nil {
		return err
	}
	return c.print(keys, func(w io.Writer) {
		row(w, "FINGERPRINT", "TYPE", "REGISTERED", "REVOKED")
		for _, k := range keys.Keys {
			kind, _, _ := strings.Cut(k.PublicKey, " ")
			row(w, k.Fingerprint, kind, k.Registered, orDash(k.Revoked))
		}
	})
}

// keyAct makes the act that registers or revokes a key, by the site's name and time.
func keyAct(ctx context.Context, c *client, act, tenant string, key claim.SSHKey) (contract.Assent, error) {
	keys, err := ask(ctx, c, bulkheadv1connect.ControlPlaneClient.ListTenantKeys, &v1.TenantRef{Tenant: tenant})
	if err != nil {
		return contract.Assent{}, err
	}
	return keyActOf(keys, act, tenant, key)
}

func keyActOf(keys *v1.TenantKeys, act, tenant string, key claim.SSHKey) (contract.Assent, error) {
	now, err := time.Parse(time.RFC3339, keys.Now)
	if err != nil {
		return contract.Assent{}, fmt.Errorf("the server's time: %w", err)
	}
	return contract.KeyAssent(act, keys.Site, tenant, key, now, now.Add(keyActValid)), nil
}

// publicHalf reads the public key of a key file, private or public.
func publicHalf(path string) (claim.SSHKey, error) {
	if data, err := custody.ReadFile(path, custody.Small); err == nil && !strings.Contains(string(data), "PRIVATE KEY") {
		key, err := claim.ParseSSHKey(strings.TrimSpace(string(data)))
		if err != nil {
			return key, fmt.Errorf("--key %s: %w", path, err)
		}
		return key, nil
	}
	signer, leave, err := openSigner(path)
	if err != nil {
		return claim.SSHKey{}, err
	}
	defer leave()
	return claim.SSHKeyOf(signer.PublicKey())
}
