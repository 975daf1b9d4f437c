package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/place"
)

type siteSpares struct {
	File     string   `arg:"" optional:"" help:"Site file. Without it the server is asked about the site that it runs."`
	Class    []string `placeholder:"NAME=RATE/REPAIR" help:"A class of failures: how many a GPU and day, and how long until the node is back, such as part-swap=9.5e-5/24h. May be repeated. Default: the published rate with an assumed mix."`
	SUShort  float64  `name:"su-short" default:"0.03" placeholder:"P" help:"Accepted probability that an SU has more nodes down than spares."`
	PodShort float64  `default:"0.01" placeholder:"P" help:"Accepted probability that the pool of a pod is short."`
	client
	format
}

// Help is the example.
func (siteSpares) Help() string {
	return `Spares lie outside what is sold, and their links are cabled like the others': a swap
inside an SU changes no routing. Failures are taken for independent of each other; a
leaf or a power feed that takes many nodes down is what spares don't cover.

The published rate is 4.74e-4 failures a GPU and day. With a day's repair two or more
nodes of an SU of 64 are down 2.5 % of the time, with three days' 16 %, with seven 50 %.

Examples:

    bulkhead site spares examples/colossus/site.yaml
    bulkhead site spares --class any=4.74e-4/72h --su-short 0.05 examples/colossus/site.yaml`
}

// Run sizes.
func (c *siteSpares) Run(ctx context.Context) error {
	classes, err := readClasses(c.Class)
	if err != nil {
		return err
	}
	if c.SUShort <= 0 || c.SUShort >= 1 || c.PodShort <= 0 || c.PodShort >= 1 {
		return usagef("--su-short %g, --pod-short %g: expected probabilities between 0 and 1", c.SUShort, c.PodShort)
	}
	var plan *v1.SparesPlan
	if c.File != "" {
		plan, err = c.ofFile(classes)
	} else {
		request := &v1.PlanSparesRequest{SuShort: c.SUShort, PodShort: c.PodShort}
		for _, f := range classes {
			request.Classes = append(request.Classes, &v1.FailureClass{Name: f.Name, PerGpuDay: f.Rate, RepairSeconds: int64(f.Repair / time.Second)})
		}
		plan, err = ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.PlanSpares, request)
	}
	if err != nil {
		return err
	}
	return c.print(plan, func(w io.Writer) { sparesTable(w, plan) })
}

// readClasses reads NAME=RATE/REPAIR.
func readClasses(texts []string) ([]place.FailureClass, error) {
	var out []place.FailureClass
	for _, text := range texts {
		name, rest, ok := strings.Cut(text, "=")
		rate, repair, ok2 := strings.Cut(rest, "/")
		f := place.FailureClass{Name: name}
		var err, err2 error
		f.Rate, err = strconv.ParseFloat(rate, 64)
		f.Repair, err2 = time.ParseDuration(repair)
		if !ok || !ok2 || name == "" || err != nil || err2 != nil || f.Rate < 0 || f.Repair < 0 {
			return nil, usagef("--class %s: expected NAME=RATE/REPAIR, such as part-swap=9.5e-5/24h", text)
		}
		out = append(out, f)
	}
	return out, nil
}

// ofFile sizes the spares of a site file, without a server.
func (c *siteSpares) ofFile(classes []place.FailureClass) (*v1.SparesPlan, error) {
	t, _, err := readTemplate(c.File)
	if err != nil {
		return nil, err
	}
	h := t.Header()
	a := place.SparesAsk{Failures: classes, SUShort: c.SUShort, PodShort: c.PodShort}
	a.Nodes, a.SUs, a.GPUs = t.LargestPod()
	if len(a.Failures) == 0 {
		a.Failures = place.DefaultFailures()
	}
	p, err := place.PlanSpares(a)
	if err != nil {
		return nil, err
	}
	out := &v1.SparesPlan{SuNodes: int32(a.Nodes), PodSus: int32(a.SUs), Down: p.Down, PerSu: int32(p.PerSU), Pool: int32(p.Pool), Share: p.Share,
		PerSuNow: int32(h.Policy.SparesPerSU), SparesNow: int64(h.Policy.SparesPerSU * t.SUs())}
	for _, f := range a.Failures {
		out.Classes = append(out.Classes, &v1.FailureClass{Name: f.Name, PerGpuDay: f.Rate, RepairSeconds: int64(f.Repair / time.Second)})
	}
	for _, r := range p.Choices {
		out.Choices = append(out.Choices, &v1.SparesChoice{PerSu: int32(r.PerSU), SuShort: r.SUShort, Near: r.Near, Pool: int32(r.Pool), PodShort: r.PodShort, Spares: int32(r.Spares)})
	}
	return out, nil
}

func sparesTable(w io.Writer, p *v1.SparesPlan) {
	row(w, "planned for", fmt.Sprintf("SUs of %d nodes, %d a pod", p.SuNodes, p.PodSus))
	for _, c := range p.Classes {
		row(w, "failures", fmt.Sprintf("%s: %.3g a GPU and day, back after %s", c.Name, c.PerGpuDay, time.Duration(c.RepairSeconds)*time.Second))
	}
	row(w, "down", fmt.Sprintf("%.3f nodes an SU at any instant, on average", p.Down))
	row(w, "recommended", fmt.Sprintf("%d spares an SU, and %d more anywhere in a pod: %.1f %% of its nodes", p.PerSu, p.Pool, 100*p.Share))
	row(w, "now", fmt.Sprintf("%d spares an SU, %d nodes", p.PerSuNow, p.SparesNow))
	row(w, "")
	row(w, "SPARES AN SU", "AN SU IS SHORT", "SERVED BY ITS OWN SU", "POOL A POD", "A POD IS SHORT", "SPARES A POD")
	for _, c := range p.Choices {
		row(w, c.PerSu, percent(c.SuShort), percent(c.Near), c.Pool, percent(c.PodShort), c.Spares)
	}
}

func percent(p float64) string { return fmt.Sprintf("%.3g %%", 100*p) }
