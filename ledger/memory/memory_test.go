package memory_test

import (
	"testing"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
	"bulkhead/ledger/memory"
)

func TestEngine(t *testing.T) {
	ledgertest.Run(t, ledgertest.Engine{Open: func(*testing.T) ledger.Log { return memory.New() }})
}
