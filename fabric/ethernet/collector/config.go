package collector

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Config is what a collector is told.
type Config struct {
	AS         uint32        // of the fabric; 1 to 4294967295
	RouterID   netip.Addr    // BGP identifier; zero: a random one, see the package
	Listen     []netip.Addr  // where reflectors may connect; none: the collector connects to them
	Port       int           // of Listen; 0: 179
	Reflectors []Reflector   // 1 to 64, no address twice
	HoldTime   time.Duration // of a silent session; 0: 9 s; else 3 s to 18 h in whole seconds (RFC 4271, 4.2)
	Retry      time.Duration // between attempts to connect; 0: 5 s; whole seconds
	Quiet      time.Duration // what counts as End-of-RIB of a reflector that sends none; 0: 10 s
	MaxRoutes  int           // of one reflector; 0: 1,000,000. More ends the session
	Log        *slog.Logger  // of goBGP; nil: nothing is logged
}

// Reflector is one route reflector.
type Reflector struct {
	Address  netip.Addr
	Port     int        // 0: 179
	AS       uint32     // 0: that of the fabric
	Local    netip.Addr // address to connect from; zero: the kernel's choice
	Password string     // TCP MD5 (RFC 2385); empty: none
}

const (
	bgpPort       = 179
	maxReflectors = 64
	maxRoutes     = 1_000_000
)

// withDefaults returns the configuration with what is left out filled in, or
// which field is wrong.
func (c Config) withDefaults() (Config, error) {
	if c.AS == 0 {
		return c, errors.New("collector: AS: expected the fabric's, 1 to 4294967295")
	}
	if !c.RouterID.IsValid() {
		var b [4]byte
		rand.Read(b[:])
		b[0] = b[0]%223 + 1 // never 0, which RFC 6286 forbids, and no group's address
		c.RouterID = netip.AddrFrom4(b)
	}
	if !c.RouterID.Is4() {
		return c, fmt.Errorf("collector: router ID %s: expected four octets", c.RouterID)
	}
	if c.Port == 0 {
		c.Port = bgpPort
	}
	if c.HoldTime == 0 {
		c.HoldTime = 9 * time.Second
	}
	if c.Retry == 0 {
		c.Retry = 5 * time.Second
	}
	if c.Quiet == 0 {
		c.Quiet = 10 * time.Second
	}
	if c.MaxRoutes == 0 {
		c.MaxRoutes = maxRoutes
	}
	switch {
	case c.Port < 1 || c.Port > 65535:
		return c, fmt.Errorf("collector: port %d: expected 1 to 65535", c.Port)
	case c.HoldTime < 3*time.Second || c.HoldTime > 65535*time.Second || c.HoldTime%time.Second != 0:
		return c, fmt.Errorf("collector: hold time %s: expected whole seconds, 3 to 65535", c.HoldTime)
	case c.Retry < time.Second || c.Retry > time.Hour || c.Retry%time.Second != 0:
		return c, fmt.Errorf("collector: retry %s: expected whole seconds, 1 to 3600", c.Retry)
	case c.Quiet < time.Second || c.Quiet > time.Hour:
		return c, fmt.Errorf("collector: quiet time %s: expected 1s to 1h", c.Quiet)
	case c.MaxRoutes < 1 || c.MaxRoutes > 1<<28:
		return c, fmt.Errorf("collector: at most %d routes: expected 1 to %d", c.MaxRoutes, 1<<28)
	case len(c.Reflectors) == 0 || len(c.Reflectors) > maxReflectors:
		return c, fmt.Errorf("collector: %d reflectors: expected 1 to %d", len(c.Reflectors), maxReflectors)
	}
	seen := map[netip.Addr]bool{}
	reflectors := make([]Reflector, len(c.Reflectors))
	for i, r := range c.Reflectors {
		r.Address = r.Address.Unmap()
		if r.Port == 0 {
			r.Port = bgpPort
		}
		if r.AS == 0 {
			r.AS = c.AS
		}
		switch {
		case !r.Address.IsValid() || r.Address.IsUnspecified():
			return c, fmt.Errorf("collector: reflectors[%d]: no address", i)
		case seen[r.Address]:
			return c, fmt.Errorf("collector: reflectors[%d]: %s is named twice", i, r.Address)
		case r.Port < 1 || r.Port > 65535:
			return c, fmt.Errorf("collector: reflectors[%d]: port %d: expected 1 to 65535", i, r.Port)
		}
		seen[r.Address] = true
		reflectors[i] = r
	}
	c.Reflectors = reflectors
	return c, nil
}
