package site

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Policy is how the owner runs the site: what the loop may do by itself and
// how long things may take. It is part of the header, so that a change of it is
// an entry like any other. Durations are written "15m" in JSON and YAML.
type Policy struct {
	Poll            time.Duration // between looks at what changed
	Sweep           time.Duration // between read-backs of everything
	IsolationWindow time.Duration // read-back older than this makes a verdict unknown
	Brake           Brake
	Acknowledge     time.Duration // a tenant's time to answer a proposed replacement
	SilenceGrace    time.Duration // a node that does not answer for so long counts as dead
	LabelCoolDown   time.Duration // a released label rests so long before it is used again
	QuoteValid      time.Duration // an offered price stands so long
	Turnover        TurnoverTimeouts
	SparesPerSU     int // nodes an SU that are not sold
	// RecordLooks is how far what the ledger says of looks at devices may be behind them.
	// It is well below the silence that contracts allow: what was not recorded when a
	// writer stopped is silence.
	RecordLooks time.Duration
	Tenants     TenantLimits
}

// TenantLimits is what tenants may ask for by themselves: how much their own quotes
// hold, and how closely they are answered. The owner's people quote without them.
type TenantLimits struct {
	Quotes     int           // open at once, of one tenant
	Share      int           // percent of a kind's nodes for sale that the open quotes of one tenant may hold
	Valid      time.Duration // for how long one holds, at most and where nothing is asked for
	Least      time.Duration // and at least
	Asks       int           // of one tenant in an hour
	AnswerStep int           // SUs by which what others hold is rounded up in answers; 0: answers are exact
}

// Apart is how far two looks may be apart without a silence between them: as long as a
// read-back holds, and at least so long that one look may be missed.
func (p Policy) Apart() time.Duration { return max(p.IsolationWindow, 2*p.Poll) }

// Brake limits what the loop may break in a window by one cause: ports locked
// down, nodes severed, powered off or wiped. Beyond that a second person decides.
type Brake struct {
	Ports  int
	Nodes  int
	Window time.Duration
}

// TurnoverTimeouts is how long each step of a turnover may take before the node
// is quarantined.
type TurnoverTimeouts struct {
	Commission time.Duration // first inventory and burn-in
	Sever      time.Duration // labels, grants and BMC sessions gone
	Sanitize   time.Duration // every device wiped and read back
	Attest     time.Duration // TPM quote, golden values, burn-in
	Deliver    time.Duration // labels, proof, volumes, acceptance
	Attempts   int           // of a step, before quarantine
}

// DefaultPolicy returns the policy of a template that says nothing.
func DefaultPolicy() Policy {
	return Policy{
		Poll:            time.Minute,
		Sweep:           time.Hour,
		IsolationWindow: 15 * time.Minute,
		Brake:           Brake{Ports: 64, Nodes: 64, Window: 10 * time.Minute},
		Acknowledge:     30 * time.Minute,
		SilenceGrace:    silenceGrace,
		LabelCoolDown:   24 * time.Hour,
		QuoteValid:      14 * 24 * time.Hour,
		Turnover: TurnoverTimeouts{Commission: 6 * time.Hour, Sever: 15 * time.Minute, Sanitize: 3 * time.Hour,
			Attest: time.Hour, Deliver: 30 * time.Minute, Attempts: 2},
		SparesPerSU: 1,
		RecordLooks: recordLooks,
		Tenants:     defaultTenantLimits,
	}
}

// defaultTenantLimits are those of headers that say nothing, as all from before there
// were any do.
var defaultTenantLimits = TenantLimits{Quotes: 4, Share: 25, Valid: 24 * time.Hour, Least: time.Hour, Asks: 30, AnswerStep: 1}

// silenceGrace is the grace of headers from before there was one, and of those that
// don't say.
const silenceGrace = 5 * time.Minute

// recordLooks is the same of how often looks are recorded.
const recordLooks = 5 * time.Minute

// setting is one field of a policy with its name and range, so that the YAML
// reader, the check, JSON and Diff cannot disagree on them.
type setting struct {
	name     string
	duration *time.Duration // either
	count    *int           // or
	low      int64          // seconds or a count
	high     int64
	usual    time.Duration // of a duration that younger headers have: left out where it is this, so that older ones stay the bytes that they were

	younger    bool // a count that younger headers have
	usualCount int  // what usual is of a duration
}

// optional says whether headers may leave a field out.
func (s setting) optional() bool { return s.usual != 0 || s.younger }

// setUsual gives a field that was left out its value.
func (s setting) setUsual() {
	if s.count != nil {
		*s.count = s.usualCount
	} else {
		*s.duration = s.usual
	}
}

// leftOut says whether a field is not written: every policy has one encoding, and those
// from before the field keep theirs.
func (s setting) leftOut() bool {
	if s.count != nil {
		return s.younger && *s.count == s.usualCount
	}
	return s.usual != 0 && *s.duration == s.usual
}

func (p *Policy) settings() []setting {
	const day = 24 * 3600
	return []setting{
		{name: "poll", duration: &p.Poll, low: 1, high: day},
		{name: "sweep", duration: &p.Sweep, low: 1, high: 7 * day},
		{name: "isolation-window", duration: &p.IsolationWindow, low: 1, high: day},
		{name: "brake-ports", count: &p.Brake.Ports, low: 1, high: 10_000},
		{name: "brake-nodes", count: &p.Brake.Nodes, low: 1, high: 10_000},
		{name: "brake-window", duration: &p.Brake.Window, low: 1, high: day},
		{name: "acknowledge", duration: &p.Acknowledge, low: 1, high: 30 * day},
		{name: "silence-grace", duration: &p.SilenceGrace, low: 1, high: day, usual: silenceGrace},
		{name: "label-cool-down", duration: &p.LabelCoolDown, low: 0, high: 365 * day},
		{name: "quote-valid", duration: &p.QuoteValid, low: 1, high: 365 * day},
		{name: "commission-timeout", duration: &p.Turnover.Commission, low: 1, high: 30 * day},
		{name: "fence-timeout", duration: &p.Turnover.Sever, low: 1, high: 30 * day},
		{name: "sanitize-timeout", duration: &p.Turnover.Sanitize, low: 1, high: 30 * day},
		{name: "attest-timeout", duration: &p.Turnover.Attest, low: 1, high: 30 * day},
		{name: "deliver-timeout", duration: &p.Turnover.Deliver, low: 1, high: 30 * day},
		{name: "step-attempts", count: &p.Turnover.Attempts, low: 1, high: 20},
		{name: "spares-per-su", count: &p.SparesPerSU, low: 0, high: MaxSUNodes - 1},
		{name: "record-looks", duration: &p.RecordLooks, low: 1, high: day, usual: recordLooks},
		{name: "tenant-quotes", count: &p.Tenants.Quotes, low: 0, high: 1000, younger: true, usualCount: defaultTenantLimits.Quotes},
		{name: "tenant-quote-share", count: &p.Tenants.Share, low: 1, high: 100, younger: true, usualCount: defaultTenantLimits.Share},
		{name: "tenant-quote-valid", duration: &p.Tenants.Valid, low: 1, high: 365 * day, usual: defaultTenantLimits.Valid},
		{name: "tenant-quote-least", duration: &p.Tenants.Least, low: 1, high: 30 * day, usual: defaultTenantLimits.Least},
		{name: "tenant-asks", count: &p.Tenants.Asks, low: 1, high: 1_000_000, younger: true, usualCount: defaultTenantLimits.Asks},
		{name: "tenant-answer-step", count: &p.Tenants.AnswerStep, low: 0, high: 1000, younger: true, usualCount: defaultTenantLimits.AnswerStep},
	}
}

// short is a duration as a person writes it: 24h, and not 24h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// wrong says why a field is out of its range, or "".
func (s setting) wrong() string {
	if s.duration != nil {
		if d := *s.duration; d < time.Duration(s.low)*time.Second || d > time.Duration(s.high)*time.Second {
			return fmt.Sprintf("%s is out of range: expected %s to %s", short(d), short(time.Duration(s.low)*time.Second), short(time.Duration(s.high)*time.Second))
		}
		return ""
	}
	if n := int64(*s.count); n < s.low || n > s.high {
		return fmt.Sprintf("%d is out of range: expected %d to %d", n, s.low, s.high)
	}
	return ""
}

func (s setting) String() string {
	if s.duration != nil {
		return s.duration.String()
	}
	return fmt.Sprint(*s.count)
}

// Rows returns the name and the text of every field, as a site file writes them.
func (p Policy) Rows() [][2]string {
	var rows [][2]string
	for _, s := range p.settings() {
		rows = append(rows, [2]string{s.name, s.String()})
	}
	return rows
}

// Check returns an error that names the first field out of its range.
func (p Policy) Check() error {
	if name, reason := p.wrong(); reason != "" {
		return fmt.Errorf("policy %s: %s", name, reason)
	}
	return nil
}

// wrong names the first field that can't be, and says why; "" and "" where none is.
func (p Policy) wrong() (name, reason string) {
	for _, s := range p.settings() {
		if reason := s.wrong(); reason != "" {
			return s.name, reason
		}
	}
	if p.Poll > p.IsolationWindow {
		return "poll", fmt.Sprintf("%s is longer than the isolation window %s: every verdict would turn unknown between looks; poll more often",
			short(p.Poll), short(p.IsolationWindow))
	}
	if p.Tenants.Least > p.Tenants.Valid {
		return "tenant-quote-least", fmt.Sprintf("%s is longer than tenant-quote-valid, %s: no tenant could ask for a quote", short(p.Tenants.Least), short(p.Tenants.Valid))
	}
	return "", ""
}

// MarshalJSON writes one flat object, durations as text.
func (p Policy) MarshalJSON() ([]byte, error) {
	buf := []byte{'{'}
	for _, s := range p.settings() {
		if s.leftOut() {
			continue
		}
		if len(buf) > 1 {
			buf = append(buf, ',')
		}
		if s.duration != nil {
			buf = fmt.Appendf(buf, "%q:%q", s.name, s.duration.String())
		} else {
			buf = fmt.Appendf(buf, "%q:%d", s.name, *s.count)
		}
	}
	return append(buf, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes: every field that it writes once, no
// other. It checks ranges.
func (p *Policy) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	// Lenient JSON: a policy of an earlier release lacks fields; each that there is is checked by itself below.
	if err := json.Unmarshal(data, &fields); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	var next Policy
	settings, missing := next.settings(), 0
	for _, s := range settings {
		raw, ok := fields[s.name]
		if !ok && s.optional() {
			s.setUsual()
			missing++
			continue
		}
		if !ok {
			return fmt.Errorf("policy %s: missing", s.name)
		}
		if s.count != nil {
			// Lenient JSON: one number, which can be read in one way.
			if err := json.Unmarshal(raw, s.count); err != nil {
				return fmt.Errorf("policy %s: expected a whole number: %w", s.name, err)
			}
			if s.leftOut() {
				return fmt.Errorf("policy %s: %d is what it is without the field: leave it out", s.name, *s.count)
			}
			continue
		}
		var text string
		// Lenient JSON: one text, which can be read in one way.
		if err := json.Unmarshal(raw, &text); err != nil {
			return fmt.Errorf("policy %s: expected a duration such as \"15m\": %w", s.name, err)
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("policy %s: %.40q: expected a duration such as \"15m\"", s.name, text)
		}
		*s.duration = d
		if s.leftOut() {
			return fmt.Errorf("policy %s: %s is what it is without the field: leave it out", s.name, text)
		}
	}
	if len(fields) != len(settings)-missing {
		return fmt.Errorf("policy: %d fields, expected %d: an unknown field", len(fields), len(settings)-missing)
	}
	if err := next.Check(); err != nil {
		return err
	}
	*p = next
	return nil
}
