package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/custody"
)

type policyInit struct {
	Trust    string   `required:"" placeholder:"FILE" help:"The owner's published trust file. Compare its key ids with the owner over another channel."`
	Tenant   string   `required:"" placeholder:"ID" help:"Your id at this site."`
	Accept   []string `default:"hardware" placeholder:"ORIGIN" help:"Kinds of machine that may give evidence: hardware, emulated, simulated."`
	Minimum  string   `default:"" placeholder:"GRADE" help:"Weakest grade of any claim: simulated, operator-asserted, hardware-attested, tenant-proven. Default: operator-asserted, or simulated where you accept what is not hardware."`
	Pin      string   `placeholder:"CHECKPOINT" help:"A checkpoint that you kept: every later bundle must extend it."`
	Keys     []string `name:"tenant-key" placeholder:"FILE" help:"A .pub file of yours, with which you sign contracts: every version then needs a signature by one of them. May be given several times."`
	Contract []string `placeholder:"DIGEST" help:"Digest of a contract version that you know of: every other one is rejected. May be given several times."`
	Out      string   `placeholder:"FILE" help:"Write the policy there instead of to standard output. A file that exists is not overwritten."`
	Comments bool     `default:"true" negatable:"" help:"Say in comments what each field decides."`
}

// Run prints a policy.
func (c *policyInit) Run(stdout io.Writer) error {
	data, err := custody.ReadFile(c.Trust, custody.Small)
	if err != nil {
		return err
	}
	policy, err := bundle.PolicyFromTrust(c.Trust, data, c.Tenant)
	if err != nil {
		return err
	}
	weakest := claim.OperatorAsserted
	for _, origin := range c.Accept {
		o := claim.Origin(origin)
		if !o.Valid() {
			return fmt.Errorf("--accept %s: expected hardware, emulated or simulated", origin)
		}
		if o != claim.Hardware {
			weakest = claim.SimulatedGrade
		}
		policy.Origins = append(policy.Origins, o)
	}
	if c.Minimum != "" {
		if err := weakest.UnmarshalText([]byte(c.Minimum)); err != nil {
			return fmt.Errorf("--minimum: %w", err)
		}
	}
	policy.Minimum = bundle.Minimum{Turnover: weakest, Sever: weakest, Storage: weakest, Isolation: weakest}
	if c.Pin != "" {
		pinned, err := custody.ReadFile(c.Pin, custody.Small)
		if err != nil {
			return err
		}
		policy.Pinned = string(pinned)
	}
	for _, file := range c.Keys {
		public, err := custody.ReadFile(file, custody.Small)
		if err != nil {
			return fmt.Errorf("--tenant-key: %w", err)
		}
		key, err := claim.ParseSSHKey(strings.TrimSpace(string(public)))
		if err != nil {
			return fmt.Errorf("--tenant-key %s: %w", file, err)
		}
		policy.TenantKeys = append(policy.TenantKeys, bundle.TenantKey{Public: key.String()})
	}
	policy.Contracts = c.Contract
	if err := errors.Join(policy.Check(), policy.CheckPins()); err != nil {
		return err
	}
	encoded, err := policy.Encode()
	if err != nil {
		return err
	}
	if c.Comments {
		encoded = append([]byte(policyHelp), encoded...)
	}
	if c.Out == "" {
		_, err = stdout.Write(encoded)
		return err
	}
	file, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err // a policy holds decisions: it is never overwritten
	}
	_, err = file.Write(encoded)
	return errors.Join(err, file.Close())
}

const policyHelp = `# What this tenant accepts. It decides; a bundle never does.
#
# keys       whose word counts, for what, and when. until ends a key's time: nothing
#            that the log dates later counts. "revoked: true" means: nothing at all.
# origins    kinds of machine that may give evidence
# minimum    the weakest grade of each kind of claim that is enough
# pinned     a checkpoint that you kept; keep the newest one of every bundle
# golden     what nodes must have booted: {kind: H100, pcrs: [PCR 0, PCR 4, PCR 7]}
# attestation_keys   TPM attestation keys by node that you learned elsewhere
# attestation_certificates, attestation_roots
#                    certificates of these keys by node, and of the makers of TPMs whom
#                    you believe: without them hardware is the owner's word
# looks_from         from when on the log must say when devices were looked at: what
#                    nobody looked at is then never billed as up
# tenant_keys        your own keys, with which you sign contracts ({public: "ssh-ed25519
#                    AAAA..."}, as in a .pub file): every version of a contract then needs
#                    a signature by one of them. Without: your consent is the owner's word
# networks           roles of which each lease must span a network, as [management]: its
#                    certificates then say who reaches the BMCs of your nodes
# contracts          digests of the contract versions that you know of; no other is taken

`

type policyShow struct {
	Policy string `arg:"" help:"The policy."`
}

// Run checks a policy and says in words what it accepts.
func (c *policyShow) Run(stdout io.Writer) error {
	policy, err := bundle.ReadPolicy(c.Policy)
	if err != nil {
		return err
	}
	var origins []string
	for _, o := range policy.Origins {
		origins = append(origins, string(o))
	}
	fmt.Fprintf(stdout, "%s at %s\n", policy.Tenant, policy.Site)
	fmt.Fprintf(stdout, "evidence of %s; turnover at least %s, fence %s, storage %s, isolation %s\n",
		strings.Join(origins, ", "), policy.Minimum.Turnover, policy.Minimum.Sever, policy.Minimum.Storage, policy.Minimum.Isolation)
	for _, k := range policy.Keys {
		fmt.Fprintf(stdout, "%-10s %s%s\n", k.Purpose, k.Name(), k.Validity())
	}
	if !policy.LooksFrom.IsZero() {
		fmt.Fprintf(stdout, "from %s on, the log must say when devices were looked at\n", policy.LooksFrom.UTC().Format(time.RFC3339))
	}
	for _, role := range policy.Networks {
		fmt.Fprintf(stdout, "each lease must span a network of the role %s\n", role)
	}
	for _, k := range policy.TenantKeys {
		fmt.Fprintf(stdout, "%-10s %s%s\n", "own key", k.Name(), k.Validity())
	}
	if len(policy.TenantKeys) == 0 {
		fmt.Fprintln(stdout, "no key of your own is named: your consent to contracts is the owner's word")
	}
	for _, digest := range policy.Contracts {
		fmt.Fprintf(stdout, "%-10s %s\n", "contract", digest)
	}
	if policy.Pinned == "" {
		fmt.Fprintln(stdout, "no checkpoint is pinned")
	}
	return nil
}
