package main

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"bulkhead/run/datadir"
)

// diskMetrics say how much room is left where the ledger grows: a full disk ends
// the server.
type diskMetrics struct{ data datadir.Dir }

var (
	diskFree   = prometheus.NewDesc("bulkhead_data_free_bytes", "Bytes that the server may still write to the disk of its data folder.", nil, nil)
	diskSize   = prometheus.NewDesc("bulkhead_data_size_bytes", "Size of the disk of the data folder.", nil, nil)
	ledgerSize = prometheus.NewDesc("bulkhead_ledger_bytes", "Size of the ledger's files, its journal too.", nil, nil)
)

// Describe implements prometheus.Collector.
func (diskMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- diskFree
	ch <- diskSize
	ch <- ledgerSize
}

// Collect implements prometheus.Collector. What can't be read is left out: an alert
// on what is missing is better than one that believes a zero.
func (d diskMetrics) Collect(ch chan<- prometheus.Metric) {
	var disk unix.Statfs_t
	if unix.Statfs(string(d.data), &disk) == nil {
		block := float64(disk.Bsize)
		ch <- prometheus.MustNewConstMetric(diskFree, prometheus.GaugeValue, float64(disk.Bavail)*block)
		ch <- prometheus.MustNewConstMetric(diskSize, prometheus.GaugeValue, float64(disk.Blocks)*block)
	}
	var size int64
	for _, file := range []string{d.data.Ledger(), d.data.Ledger() + "-wal"} {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	if size > 0 {
		ch <- prometheus.MustNewConstMetric(ledgerSize, prometheus.GaugeValue, float64(size))
	}
}
