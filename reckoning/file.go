// Package reckoning works out an invoice a second time, for tests, from docs/contracts.md
// alone. It goes another way than the meter does, with a calendar of its own. It imports
// none of the product's rooms, so that what it says is a second opinion.
//
// Where the meter folds events forward and adds up as it goes, this asks, for each slot
// and each stretch in which nothing changes, what is so then, from all that was said.
package reckoning

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// The file as docs/contracts.md has it. Everything is text until it is needed.
type file struct {
	ID        string    `yaml:"id"`
	Effective string    `yaml:"effective"`
	Currency  string    `yaml:"currency"`
	Begin     string    `yaml:"begin"`
	End       string    `yaml:"end"`
	Rules     rules     `yaml:"zone_rules"`
	Tranches  []tranche `yaml:"tranches"`
	Rates     []rate    `yaml:"rates"`
	Take      *struct {
		Tranches []string `yaml:"tranches"`
		Share    string   `yaml:"share"`
	} `yaml:"take_or_pay"`
	Prepaid *struct {
		Amount string `yaml:"amount"`
		From   string `yaml:"from"`
		Months int64  `yaml:"months"`
		Early  string `yaml:"early_end"`
	} `yaml:"prepaid"`
	Levels  []level `yaml:"sla"`
	Cap     string  `yaml:"credit_cap"`
	Unknown struct {
		Grace string `yaml:"grace"`
		Then  string `yaml:"then"`
	} `yaml:"unknown"`
	Storage []struct {
		ID       string `yaml:"id"`
		Capacity int64  `yaml:"capacity_tb"`
		From     string `yaml:"from"`
		To       string `yaml:"to"`
		Price    string `yaml:"price"`
		Clause   string `yaml:"clause"`
	} `yaml:"storage"`
	Rights []struct {
		When   string `yaml:"when"`
		Remedy string `yaml:"remedy"`
		By     string `yaml:"by"`
		Fee    string `yaml:"fee"`
	} `yaml:"termination"`
	Tax *struct {
		Rate string `yaml:"rate"`
	} `yaml:"tax"`
}

type rules struct {
	Offset  string `yaml:"offset"`
	Changes []struct {
		At     string `yaml:"at"`
		Offset string `yaml:"offset"`
	} `yaml:"changes"`
}

type tranche struct {
	ID        string `yaml:"id"`
	GPUs      int64  `yaml:"gpus"`
	NodeGPUs  int64  `yaml:"node_gpus"`
	Delivery  string `yaml:"delivery"`
	End       string `yaml:"end"`
	GraceDays int64  `yaml:"grace_days"`
	Discount  string `yaml:"late_discount"`
}

type rate struct {
	Tranches []string `yaml:"tranches"`
	From     string   `yaml:"from"`
	To       string   `yaml:"to"`
	Basis    string   `yaml:"basis"`
	Price    string   `yaml:"price"`
	Clause   string   `yaml:"clause"`
}

type level struct {
	Metric    string `yaml:"metric"`
	After     string `yaml:"after"`
	Allowance string `yaml:"allowance"`
	Tiers     []struct {
		Below  string `yaml:"below"`
		Credit string `yaml:"credit"`
	} `yaml:"tiers"`
	Cap        string   `yaml:"cap"`
	Exclusions []string `yaml:"exclusions"`
	Ports      string   `yaml:"ports"`
	Unclear    string   `yaml:"unclear"`
	Clause     string   `yaml:"clause"`
}

// version is a file with its numbers read.
type version struct {
	*file
	from, to   int64 // in which it rules
	begin, end int64
	zone       zone
}

// read reads the versions of a contract, the first one first. A number that can't be
// read panics: the files are a test's own.
func read(texts []string) []*version {
	var out []*version
	for _, text := range texts {
		f := &file{}
		if err := yaml.Unmarshal([]byte(text), f); err != nil {
			panic(err)
		}
		v := &version{file: f, zone: zoneOf(f.Rules)}
		v.begin, v.end = v.zone.instant(f.Begin), v.zone.instant(f.End)
		v.from, v.to = v.begin, v.end
		if f.Effective != "" {
			v.from = v.zone.instant(f.Effective)
		}
		for i := range v.Levels { // the usual words may be left out
			l := &v.Levels[i]
			if l.Ports == "" {
				l.Ports = "share"
			}
			if l.Unclear == "" {
				l.Unclear = "not-credited"
			}
		}
		if n := len(out); n > 0 && v.from < out[n-1].to {
			out[n-1].to = v.from
		}
		out = append(out, v)
	}
	return out
}

// at is an instant, or what it is where the file leaves it out.
func (v *version) at(text string, otherwise int64) int64 {
	if text == "" {
		return otherwise
	}
	return v.zone.instant(text)
}

// ratio reads a decimal or a share.
func ratio(text string) *big.Rat {
	if text == "" {
		return new(big.Rat)
	}
	number, percent := strings.CutSuffix(strings.ReplaceAll(text, "_", ""), "%")
	r, ok := new(big.Rat).SetString(strings.TrimSpace(number))
	if !ok {
		panic(fmt.Sprintf("%q is no number", text))
	}
	if percent {
		r.Quo(r, big.NewRat(100, 1))
	}
	return r
}

// span reads 1h30m, 45s or 2d as seconds.
func span(text string) (seconds int64) {
	number := ""
	for _, r := range text {
		if r >= '0' && r <= '9' {
			number += string(r)
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("%q is no span of time", text))
		}
		seconds += n * map[rune]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}[r]
		number = ""
	}
	return seconds
}
