package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bulkhead/custody"
	"bulkhead/custody/exchange"
)

// driver is the process that drives some fabrics of the simulator, or all but some:
// it passes the calls of the driver protocol on and is as slow as it is told to
// be, in lines on its standard input.
func driver(args []string) error {
	flags := flag.NewFlagSet("driver", flag.ContinueOnError)
	from := flags.String("socket", "", "where it answers")
	to := flags.String("devices", "", "the simulator's socket")
	fabric := flags.String("fabric", "", "the fabric that it drives, and nothing else")
	without := flags.String("without", "", "the fabric that it leaves out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	listener, err := net.Listen("unix", *from)
	if err != nil {
		return err
	}
	d := &slow{
		fabric: *fabric, without: *without, changed: make(chan struct{}), mode: passes,
		devices: &exchange.Client{
			Dial: func(ctx context.Context) (net.Conn, error) { return custody.Dial(ctx, *to) },
			Head: "Host: devices\r\n", Limit: 1 << 30,
		},
	}
	server := &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	told := make(chan struct{})
	go func() {
		defer close(told)
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			d.set(lines.Text())
		}
	}()
	select {
	case err := <-served:
		return err
	case <-told: // who started it has gone
		return errors.Join(server.Close(), os.RemoveAll(*from))
	}
}

// The modes of a driver.
const (
	passes  = "passes"
	applies = "applies" // an Apply reaches the device and is never answered; the rest passes
	half    = "half"    // half of each answer is sent
	drips   = "drips"   // each answer is sent at a byte a second
)

// slow is a driver with a mode.
type slow struct {
	fabric, without string
	devices         *exchange.Client

	mu      sync.Mutex
	mode    string
	changed chan struct{} // closed when the mode is another
}

func (d *slow) set(mode string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mode = mode
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *slow) now() (mode string, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mode, d.changed
}

// ServeHTTP passes a call on.
func (d *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mode, changed := d.now()
	status, answer, err := d.pass(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the devices are gone: so is their driver
	}
	hang := func() {
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	if mode == applies && strings.HasSuffix(r.URL.Path, "/apply") {
		hang()
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	switch mode {
	case half:
		_, _ = w.Write(answer[:len(answer)/2]) // who has gone needs no answer
		_ = http.NewResponseController(w).Flush()
		hang()
	case drips:
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for i := range answer {
			_, _ = w.Write(answer[i : i+1])
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-tick.C:
			case <-changed:
				panic(http.ErrAbortHandler)
			case <-r.Context().Done():
				return
			}
		}
	default:
		_, _ = w.Write(answer)
	}
}

// pass asks the simulator.
func (d *slow) pass(r *http.Request) (status int, said []byte, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, err
	}
	answer, err := d.devices.Post(r.Context(), r.URL.Path, body)
	if err == nil && strings.HasSuffix(r.URL.Path, "/hello") {
		answer.Body, err = d.introduce(answer.Body)
	}
	return answer.StatusCode, answer.Body, err
}

// introduce leaves out of what the simulator says that it drives what this driver
// does not.
func (d *slow) introduce(said []byte) ([]byte, error) {
	var hello map[string]any
	// Lenient JSON: of the hello, the lists that the bench changes.
	if err := json.Unmarshal(said, &hello); err != nil {
		return nil, err
	}
	keep := func(id any) bool { return d.fabric == "" && id != d.without || d.fabric != "" && id == d.fabric }
	for _, list := range []string{"fabrics", "postured"} {
		if of, has := hello[list].([]any); has {
			hello[list] = slices.DeleteFunc(of, func(id any) bool { return !keep(id) })
		}
	}
	if d.fabric != "" {
		if of, has := hello["fabrics"].([]any); !has || len(of) != 1 {
			return nil, fmt.Errorf("the simulator drives no fabric %s", d.fabric)
		}
		hello["nodes"], hello["storage"], hello["sim"] = false, false, false
	}
	return json.Marshal(hello)
}
