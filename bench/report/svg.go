package report

import (
	"fmt"
	"math"
	"strings"
)

// Series is one line or one set of bars of a plot.
type Series struct {
	Name   string
	Values []float64 // one a label
}

// colours of contenders, told apart in grey too.
var colours = []string{"#1b6ca8", "#c2571a", "#6b8e23", "#7a4988", "#555555"}

const (
	width, height            = 640, 300
	left, right, top, bottom = 64, 16, 40, 48
)

// Bars draws groups of bars over labels, on a logarithmic scale when log is set.
func Bars(title, unit string, labels []string, series []Series, log bool) []byte {
	var b strings.Builder
	most, least := 0.0, math.Inf(1)
	for _, s := range series {
		for _, v := range s.Values {
			most = max(most, v)
			if v > 0 {
				least = min(least, v)
			}
		}
	}
	low, high := 0.0, most*1.05
	if most == 0 {
		high = 1
	}
	if log && !math.IsInf(least, 1) {
		low, high = math.Floor(math.Log10(least)), math.Ceil(math.Log10(most)+1e-9)
	}
	y := func(v float64) float64 {
		if log {
			v = math.Log10(math.Max(v, math.Pow(10, low)))
		}
		return height - bottom - (v-low)/(high-low)*(height-top-bottom)
	}
	head(&b, title, unit)
	if log && !math.IsInf(least, 1) {
		for e := low; e <= high; e++ {
			tick(&b, y(math.Pow(10, e)), short(math.Pow(10, e)))
		}
	} else {
		for i := range 5 {
			v := high * float64(i) / 4
			tick(&b, y(v), short(v))
		}
	}
	group := float64(width-left-right) / float64(max(1, len(labels)))
	bar := group * 0.8 / float64(max(1, len(series)))
	for i, label := range labels {
		x := left + group*float64(i)
		for j, s := range series {
			if i >= len(s.Values) || s.Values[i] <= 0 {
				continue
			}
			at := y(s.Values[i])
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %s %s</title></rect>`+"\n",
				x+group*0.1+bar*float64(j), at, bar*0.92, height-bottom-at, colours[j%len(colours)], escape(s.Name), escape(label), short(s.Values[i]), escape(unit))
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x+group/2, height-bottom+16, escape(label))
	}
	legend(&b, series)
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

// Lines draws series over numbers from x[0] to x[len-1].
func Lines(title, unit, across string, x []float64, series []Series) []byte {
	var b strings.Builder
	most, least := math.Inf(-1), math.Inf(1)
	for _, s := range series {
		for _, v := range s.Values {
			most, least = max(most, v), min(least, v)
		}
	}
	if least > 0 && least < most*0.7 || math.IsInf(least, 1) {
		least = 0
	}
	if most <= least {
		most = least + 1
	}
	y := func(v float64) float64 { return height - bottom - (v-least)/(most-least)*(height-top-bottom) }
	px := func(v float64) float64 {
		return left + (v-x[0])/math.Max(1e-9, x[len(x)-1]-x[0])*(width-left-right)
	}
	head(&b, title, unit)
	for i := range 5 {
		v := least + (most-least)*float64(i)/4
		tick(&b, y(v), short(v))
	}
	for i := range 5 {
		v := x[0] + (x[len(x)-1]-x[0])*float64(i)/4
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", px(v), height-bottom+16, short(v))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", width-right, height-bottom+30, escape(across))
	for j, s := range series {
		var points []string
		for i, v := range s.Values {
			points = append(points, fmt.Sprintf("%.1f,%.1f", px(x[i]), y(v)))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", colours[j%len(colours)], strings.Join(points, " "))
	}
	legend(&b, series)
	b.WriteString("</svg>\n")
	return []byte(b.String())
}

func head(b *strings.Builder, title, unit string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", width, height)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(b, `<text x="%d" y="16" font-size="13" font-weight="bold">%s</text>`+"\n", left, escape(title))
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", left, top-8, escape(unit))
	fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#333"/>`+"\n", left, height-bottom, width-right, height-bottom)
}

func tick(b *strings.Builder, y float64, label string) {
	fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, y, width-right, y, left-6, y+4, label)
}

func legend(b *strings.Builder, series []Series) {
	x := float64(left)
	for j, s := range series {
		fmt.Fprintf(b, `<rect x="%.0f" y="%d" width="10" height="10" fill="%s"/><text x="%.0f" y="%d">%s</text>`+"\n", x, height-14, colours[j%len(colours)], x+14, height-5, escape(s.Name))
		x += 30 + 6.2*float64(len(s.Name))
	}
}

// short writes a number with about three digits.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 10_000:
		return fmt.Sprintf("%.0fk", v/1000)
	case a >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 1:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
