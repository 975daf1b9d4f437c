package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// requests counts what was asked and how it was answered.
type requests struct {
	total    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	gate     *gate
	inFlight *prometheus.Desc
}

func newRequests(g *gate) *requests {
	return &requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bulkhead_requests_total", Help: "Requests that were answered, by method and code; code ok: done.",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bulkhead_request_seconds", Help: "How long answers took that were not refused at the door; streams are not in it.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"method"}),
		gate:     g,
		inFlight: prometheus.NewDesc("bulkhead_requests_in_flight", "Calls with a token that are being answered, by what they take of the server: ordinary, watch, dear.", []string{"kind"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (q *requests) Describe(ch chan<- *prometheus.Desc) {
	q.total.Describe(ch)
	q.seconds.Describe(ch)
	ch <- q.inFlight
}

// Collect implements prometheus.Collector.
func (q *requests) Collect(ch chan<- prometheus.Metric) {
	q.total.Collect(ch)
	q.seconds.Collect(ch)
	for k, n := range q.gate.inFlight() {
		ch <- prometheus.MustNewConstMetric(q.inFlight, prometheus.GaugeValue, float64(n), kind(k).String())
	}
}

// call is one request while it is answered.
type call struct {
	requests *requests
	method   string
	begun    time.Time
	status   int    // of HTTP
	code     string // of the answer; "": nobody has said
	entered  bool   // it was not refused at the door
}

type callKey struct{}

// begin counts a request from now on. What is no method of this server has no name
// of its own in metrics: whoever asks would make as many as it likes.
func (q *requests) begin(method string) *call {
	if _, known := policy[method]; !known && method != metricsPath && method != "/healthz" && method != "/readyz" {
		method = "other"
	}
	return &call{requests: q, method: method, begun: time.Now()}
}

// answered notes with what code a method ended.
func answered(ctx context.Context, err error) {
	c, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return
	}
	c.entered = true
	if c.code = "ok"; err != nil {
		c.code = connect.CodeOf(err).String()
	}
}

func (c *call) end() {
	if c.code == "" { // it reached no method: a page, or a request that could not be read
		if c.code = "ok"; c.status >= http.StatusBadRequest {
			c.code = "http_" + strconv.Itoa(c.status)
		}
	}
	c.requests.total.WithLabelValues(c.method, c.code).Inc()
	if m := schema.Methods().ByName(name(c.method)); c.entered && m != nil && !m.IsStreamingServer() {
		c.requests.seconds.WithLabelValues(c.method).Observe(time.Since(c.begun).Seconds())
	}
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	call *call
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.call.status == 0 {
		w.call.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher: streams are sent as they come.
func (w *statusWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
