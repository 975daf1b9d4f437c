// Package drivers opens the drivers of the fabrics that a file names, docs/drivers.md.
// It is what a process at the far end of the driver protocol begins with: the file is
// read and checked without touching a device, then each fabric gets the driver of its one
// section, and with it the gateway of its nodes' management network.
package drivers
