package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"bulkhead/claim"
	"bulkhead/fabric"
)

// fabrics/observe asks several fabrics in one call. Its answer, in the binary form:
//
//	fabrics observe  [ok, then the answer of fabric observe, or the JSON of a failure]
func serveJoint(mux *http.ServeMux, drivers map[string]fabric.Driver) {
	handle(mux, "fabrics/observe", func(ctx context.Context, body []byte) ([]byte, error) {
		var asks []fabric.Ask
		if err := claim.Exact(body, maxMessage, &asks); err != nil {
			return nil, err
		}
		answers := make([]fabric.Answer, len(asks))
		var wait sync.WaitGroup
		for i, ask := range asks {
			driver, known := drivers[ask.Fabric]
			if !known {
				answers[i].Err = fmt.Errorf("no fabric %.80q is driven here", ask.Fabric)
				continue
			}
			wait.Go(func() { answers[i].Observation, answers[i].Err = driver.Observe(ctx, ask.Scope) })
		}
		wait.Wait()
		return encodeAnswers(answers), nil
	})
}

func encodeAnswers(answers []fabric.Answer) []byte {
	var o out
	o.number(uint64(len(answers)))
	for _, a := range answers {
		o.flags(a.Err == nil)
		if a.Err == nil {
			o.bytes(encodeReadback(&a.Observation))
			continue
		}
		said, _ := json.Marshal(failureOf(a.Err))
		o.bytes(said)
	}
	return o.b
}

// ObserveAll implements fabric.Joint.
func (c *Client) ObserveAll(ctx context.Context, asks []fabric.Ask) []fabric.Answer {
	answers, err := c.observeAll(ctx, asks)
	if err != nil {
		answers = make([]fabric.Answer, len(asks))
		for i := range answers {
			answers[i].Err = err
		}
	}
	return answers
}

func (c *Client) observeAll(ctx context.Context, asks []fabric.Ask) ([]fabric.Answer, error) {
	body, err := json.Marshal(asks)
	if err != nil {
		return nil, err
	}
	said, err := c.post(ctx, "fabrics/observe", body)
	if err != nil {
		return nil, err
	}
	answers, err := decodeAnswers(said)
	if err == nil && len(answers) != len(asks) {
		err = fmt.Errorf("%d answers to %d questions", len(answers), len(asks))
	}
	if err != nil {
		return nil, fmt.Errorf("devices at %s: fabrics/observe: %w", c.at, err)
	}
	return answers, nil
}

func decodeAnswers(said []byte) ([]fabric.Answer, error) {
	i := in{b: said}
	answers := make([]fabric.Answer, i.count(2))
	for n := range answers {
		ok, part := i.byte(), i.bytes()
		if i.err != nil {
			return nil, i.err
		}
		if ok == 1 {
			answers[n].Observation, answers[n].Err = decodeReadback(part)
			continue
		}
		var f failure
		// Lenient JSON: an error in a device's own words.
		if err := json.Unmarshal(part, &f); err != nil || f.Error == "" {
			return nil, fmt.Errorf("answer %d is neither a read-back nor an error", n+1)
		}
		answers[n].Err = f.restore()
	}
	return answers, i.end()
}

// Joint implements fabric.Joined.
func (d *remoteFabric) Joint() fabric.Joint { return d.c }

var _ fabric.Joined = (*remoteFabric)(nil)
