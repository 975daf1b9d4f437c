package demo

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"bulkhead/claim"
	"bulkhead/lab/story"
)

// officerFile is a tenant's own key: beside what it takes home, and in no folder of the
// owner's.
func officerFile(out, tenant string) string {
	return filepath.Join(out, "tenants", tenant, "officer")
}

// makeOfficers makes a key for each tenant of the story, as bulkhead tenant key create
// does, with which it signs its own acts.
func makeOfficers(out string, parts story.Parts) (map[string]claim.SSHSigner, error) {
	officers := map[string]claim.SSHSigner{}
	for _, tenant := range []string{parts.Flagship.Tenant, parts.Tidewater.Tenant, parts.Research.Tenant} {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		signer, err := ssh.NewSignerFromKey(private)
		if err != nil {
			return nil, err
		}
		block, err := ssh.MarshalPrivateKey(private, tenant)
		if err != nil {
			return nil, err
		}
		file := officerFile(out, tenant)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644); err != nil {
			return nil, err
		}
		officers[tenant] = signer
	}
	return officers, nil
}
