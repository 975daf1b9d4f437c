// Package webhook tells receivers what happened, signed, from a queue that outlives the process.
// The ledger is the queue: each receiver has its position in it, is told in order and at
// least once, and one that does not answer delays nobody else. Addresses may hold secrets
// and are shown nowhere.
package webhook
