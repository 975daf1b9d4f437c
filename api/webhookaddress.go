package api

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
)

// SecretURL is where a webhook is told. It may hold a secret, in its path, its query
// or its user: however it is printed, logged or encoded, only scheme and host are
// shown. string(a) is the one way to the whole of it.
type SecretURL string

// String is what may be shown.
func (a SecretURL) String() string {
	u, err := url.Parse(string(a))
	if err != nil || u.Host == "" {
		return "(not shown)"
	}
	shown := u.Scheme + "://" + u.Host
	if shown != string(a) {
		shown += "/…"
	}
	return shown
}

// Format implements fmt.Formatter: no verb shows more.
func (a SecretURL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue implements slog.LogValuer.
func (a SecretURL) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText implements encoding.TextMarshaler.
func (a SecretURL) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// check says what is wrong with an address, without it.
func (a SecretURL) check() error {
	if u, err := url.Parse(string(a)); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("expected https://HOST/PATH (what is there is not shown: it may hold a secret)")
	}
	return nil
}

var addresses = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*:/[^\s"]*`)

// withoutAddresses shows of each address in a text what may be shown.
func withoutAddresses(text string) string {
	return addresses.ReplaceAllStringFunc(text, func(a string) string { return SecretURL(a).String() })
}

// withoutAddress takes the address off an error of net/http, which begins with it.
func withoutAddress(err error) error {
	for {
		var of *url.Error
		if !errors.As(err, &of) {
			return err
		}
		err = of.Err
	}
}
