package main

import (
	"fmt"
	"time"

	"bulkhead/bench/report"
)

// placesPlots draws latency and quality.
func placesPlots(rows []placed) []report.Plot {
	var plots []report.Plot
	for _, site := range sitesOf(rows) {
		var labels []string
		var series []report.Series
		for _, asked := range asksOn(rows, site) {
			labels = append(labels, report.Number(asked))
		}
		for _, who := range names {
			s := report.Series{Name: who}
			for _, asked := range asksOn(rows, site) {
				var took []time.Duration
				for _, r := range rows {
					if r.Site == site && r.Who == who && r.Asked == asked {
						took = append(took, r.Search)
					}
				}
				s.Values = append(s.Values, float64(quantile(took, 0.5).Microseconds())/1000)
			}
			series = append(series, s)
		}
		plots = append(plots, report.Plot{File: "latency-" + site + ".svg",
			SVG: report.Bars("Search, p50, by nodes asked, "+site, "ms", labels, series, true)})
	}
	var labels []string
	excess := make([]report.Series, 2)
	for i := range excess {
		excess[i].Name = names[i+1]
	}
	for _, percent := range percents {
		var sum [3]float64
		for _, c := range byCase(rows) {
			if c[0].Percent == percent {
				for i := range sum {
					sum[i] += float64(c[i].Counts.SUs)
				}
			}
		}
		if sum[0] == 0 {
			continue
		}
		labels = append(labels, fmt.Sprintf("%d %% taken", percent))
		for i := range excess {
			excess[i].Values = append(excess[i].Values, 100*(sum[i+1]/sum[0]-1))
		}
	}
	return append(plots, report.Plot{File: "sus.svg", SVG: report.Bars("SUs touched beyond Bulkhead's", "%", labels, excess, false)})
}
