package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/custody/pki"
)

// serveTLS is as whom a server answers, and as whom it calls drivers on other machines.
type serveTLS struct {
	TLSCert  string `name:"tls-cert" placeholder:"FILE" help:"TLS certificate that the API shows, PEM, with its chain behind it. It is read again when it changes."`
	TLSKey   string `name:"tls-key" placeholder:"FILE" help:"Its key, PEM, readable by its owner alone."`
	Insecure bool   `help:"Answer in plain HTTP beyond loopback, where anybody on the way can read tokens: for a proxy that ends TLS."`

	DeviceCert string `placeholder:"FILE" help:"TLS certificate that this server shows to drivers on other machines (--devices tls:HOST:PORT), for clients."`
	DeviceKey  string `placeholder:"FILE" help:"Its key."`
	DeviceCA   string `name:"device-ca" placeholder:"FILE" help:"The authorities that vouch for such drivers, PEM."`
}

// openPair reads what the API shows; nil where it speaks plain HTTP.
func (c *serveTLS) openPair() (*pki.Pair, error) {
	switch {
	case c.TLSCert == "" && c.TLSKey == "":
		return nil, nil
	case c.TLSCert == "" || c.TLSKey == "":
		return nil, usagef("--tls-cert, --tls-key: expected both, the certificate and its key")
	case c.Insecure:
		return nil, usagef("--insecure: expected either it or --tls-cert and --tls-key")
	}
	p, err := pki.OpenPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	return p, nil
}

// identity reads who calls drivers on other machines; nil where nothing is given.
func (c *serveTLS) identity() (*pki.Identity, error) {
	switch given := c.DeviceCert != "" || c.DeviceKey != "" || c.DeviceCA != ""; {
	case !given:
		return nil, nil
	case c.DeviceCert == "" || c.DeviceKey == "" || c.DeviceCA == "":
		return nil, usagef("--device-cert, --device-key, --device-ca: expected all three: the certificate, its key, and who vouches for the drivers")
	}
	who, err := pki.OpenIdentity(c.DeviceCert, c.DeviceKey, c.DeviceCA)
	if err != nil {
		return nil, fmt.Errorf("--device-cert, --device-key, --device-ca: %w", err)
	}
	return who, nil
}

// listen opens the port of the API. Beyond loopback tokens are not carried in plain text
// unless somebody says so.
func (c *serveCommand) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w: give another HOST:PORT, or stop what listens there", c.Listen, err)
	}
	if c.TLSCert == "" && !c.Insecure && !loopback(l.Addr()) {
		_ = l.Close()
		return nil, usagef("--listen %s is beyond this machine, where anybody on the way could read tokens: give --tls-cert and --tls-key (bulkhead ca issue --help makes them), or --insecure behind a proxy that ends TLS", c.Listen)
	}
	return l, nil
}

// Once a minute it is looked whether certificates can still be used, and said when they
// end within a week.
const (
	pairsEvery = time.Minute
	soon       = 7 * 24 * time.Hour
)

// watchPairs says, once for each reason, what is wrong with the files of certificates.
func (s *server) watchPairs(ctx context.Context) {
	said := map[string]bool{}
	for {
		for name, p := range (tlsExpiry{s.pair, s.identity}).pairs() {
			why := ""
			if err := p.Trouble(); err != nil {
				why = "the files are not used as they are now: " + err.Error()
			} else if left := time.Until(p.Expires()); left < soon {
				why = "it ends on " + p.Expires().UTC().Format(time.RFC3339) + ": renew it"
			}
			if why != "" && !said[name+why] {
				said[name+why] = true
				s.log.Warn("a TLS certificate needs somebody", "of", name, "why", why)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pairsEvery):
		}
	}
}

// tlsExpiry shows when the certificates of a server end.
type tlsExpiry struct {
	api    *pki.Pair
	device *pki.Identity
}

func (t tlsExpiry) pairs() map[string]*pki.Pair {
	all := map[string]*pki.Pair{}
	if t.api != nil {
		all["api"] = t.api
	}
	if t.device != nil {
		all["devices"] = t.device.Pair
	}
	return all
}

var tlsExpiryDesc = prometheus.NewDesc("bulkhead_tls_certificate_expiry_timestamp_seconds",
	"When the TLS certificate ends that is shown: to who calls the API, and to drivers on other machines.", []string{"to"}, nil)

// Describe implements prometheus.Collector.
func (t tlsExpiry) Describe(c chan<- *prometheus.Desc) { c <- tlsExpiryDesc }

// Collect implements prometheus.Collector.
func (t tlsExpiry) Collect(c chan<- prometheus.Metric) {
	for to, p := range t.pairs() {
		c <- prometheus.MustNewConstMetric(tlsExpiryDesc, prometheus.GaugeValue, float64(p.Expires().Unix()), to)
	}
}
