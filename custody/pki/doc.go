// Package pki is TLS certificates in files: a small authority that makes them, and pairs that are read again when they change.
//
// Both ends of every connection take TLS 1.3 (RFC 8446) and nothing older: they are
// of one release. A TLS certificate (X.509, RFC 5280) says which machine answers; it is no
// certificate of placement or isolation, which those rooms make.
package pki
