package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/api"
	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/custody/pki"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
	"bulkhead/run/datadir"
	"bulkhead/wire"
)

type serveCommand struct {
	Data      datadir.Dir   `required:"" placeholder:"DIR" help:"Folder of the control plane. It is made, with keys and the first tokens, where there is none."`
	Devices   []string      `placeholder:"unix:SOCKET" sep:"none" help:"Where drivers of devices answer, tls:HOST:PORT on another machine; may be given several times. Without it everything is unknown, and nothing is delivered."`
	Simulated bool          `help:"Take the time of simulated devices for the site's. Without it a socket that brings a clock is refused; a site whose origin is hardware never takes it."`
	Downtime  time.Duration `default:"24h" placeholder:"DURATION" help:"How long the control plane may have been away, on a machine that was started anew since, before an approver must confirm the clock. With 0, an hour."`
	ReadOnly  bool          `help:"Answer what the ledger holds, as of its last entry, and change nothing: no entry, no device, no file. For a copy."`
	Observe   bool          `help:"Read, prove and report; never write to a device. For a site that runs already."`
	Listen    string        `default:"127.0.0.1:8470" placeholder:"HOST:PORT" help:"Where the API answers; port 0 is any free one."`
	serveTLS
	Host     []string `placeholder:"NAME" help:"A name by which clients or a proxy call this server, as in the header Host; may be given several times. Addresses and localhost need none; other names are refused, since a web page can have one point here."`
	Webhooks string   `placeholder:"FILE" help:"YAML file: under webhooks a list, each with a url and, where it is a tenant's own, the tenant's id. Each is told, by a signed message, of drift, the brake, a clock in doubt, quarantine, replacements and late tranches."`
	masterFlags
	Verbose bool `short:"v" help:"Log what is routine too."`
}

// Help is the example.
func (serveCommand) Help() string {
	return `Logs are JSON lines on stderr. The API carries tokens: beyond loopback it speaks TLS,
with --tls-cert and --tls-key, whose files are read again when they change; behind a
proxy that ends TLS give --insecure, and the proxy's name with --host. /metrics wants a token of the role monitor, operator or auditor:
in Prometheus's configuration, authorization: {credentials_file: FILE}.
SIGINT or SIGTERM stops it cleanly; after any other end it goes on from the ledger.

Devices take one lineage's orders. A server that works on a copy of the ledger, or was
taken over from, is told so at its first look: it steps down, is read-only from then on,
and site show, plan show and the log say why.

Examples:

    bulkhead serve --data /var/lib/bulkhead --devices unix:/run/bulkhead/devices.sock
    bulkhead serve --data ./data --devices unix:./nodes.sock --devices unix:./ib.sock
    bulkhead serve --data ./data --listen 10.0.0.5:8470 --host bulkhead.example.com --tls-cert server.pem --tls-key server.key
    bulkhead serve --data ./data --devices tls:ib1.example.com:8471 --device-cert serve.pem --device-key serve.key --device-ca authority.pem
    bulkhead serve --data ./data --observe --devices unix:./devices.sock
    bulkhead serve --data /restored --read-only --listen 127.0.0.1:8471`
}

// lookPatience is how long the loop waits for a driver within a look before it goes on
// without it: an answer that comes later is taken in then.
const lookPatience = 250 * time.Millisecond

// retryEvery is how often drivers are looked at while one of them fails, by the machine's
// clock: the site's may be the one that does not answer.
const retryEvery = 5 * time.Second

// publishEvery is how often a checkpoint leaves the store: what is lost of a
// store that is rolled back further than this is noticed.
const publishEvery = time.Minute

// snapshotEvery is after how many entries a snapshot is worth its second.
const snapshotEvery = 100_000

// server is a running control plane with what it was opened from.
type server struct {
	c      *serveCommand
	log    *slog.Logger
	store  *sqlite.Log
	keys   *keystore.Store
	master keystore.Master // where the key is that opens them
	plane  *run.Plane
	clock  run.Clock

	simulated *siteClock // whose time it is at a simulated site; nil: it is none
	wires     []*wire.Client
	drives    map[string]string // what is driven -> by the drivers of which socket
	late      []dialled         // sockets that have not answered yet

	listener net.Listener
	pair     *pki.Pair     // shown to who calls the API; nil: it speaks plain HTTP
	identity *pki.Identity // shown to drivers on other machines; nil: there are none

	tokens   *api.Tokens
	notifier *api.Notifier // of webhooks; nil: nobody is told

	marked    run.ClockMark // that is kept
	isolation *isolationFeed

	down    bool // that it has stepped down is kept
	adopted bool // with --observe: it has been recorded
	ticking atomic.Bool
	wake    chan struct{} // a command was carried out: look now
	feeds   []func([]ledger.Entry)
}

// Run serves until it is interrupted.
func (c *serveCommand) Run(ctx context.Context) (err error) {
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	s := &server{c: c, wake: make(chan struct{}, 1), log: slog.New(slog.NewJSONHandler(&claim.Screen{W: os.Stderr}, &slog.HandlerOptions{Level: level}))}
	if err := s.open(ctx); err != nil {
		return errors.Join(err, s.close())
	}
	defer func() { err = errors.Join(err, s.end()) }()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	options := api.Options{Plane: s.plane, Keys: s.keys, Tokens: s.tokens, Hosts: c.Host, Metrics: []prometheus.Collector{s.lastLook(), s.clockConfirmed(), s.isolation, diskMetrics{c.Data}}}
	if s.notifier != nil {
		options.Metrics = append(options.Metrics, s.notifier)
	}
	if s.pair != nil || s.identity != nil {
		options.Metrics = append(options.Metrics, tlsExpiry{s.pair, s.identity})
	}
	listener, scheme := s.listener, "http"
	if s.pair != nil {
		listener, scheme = tls.NewListener(listener, api.Secure(s.pair.Server())), "https"
	} else if !loopback(listener.Addr()) {
		s.log.Warn("the API listens beyond this machine in plain HTTP, as --insecure says: tokens can be read on the way; put a proxy that ends TLS before it", "address", listener.Addr().String())
	}
	web := api.NewServer(ctx, api.New(options), api.DefaultBounds())
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watchPairs(ctx)
	}()
	told := make(chan struct{})
	go func() {
		defer close(told)
		if s.notifier != nil {
			s.notifier.Run(ctx)
		}
	}()
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		s.listen(ctx)
	}()
	said := make(chan struct{})
	go func() {
		defer close(said)
		s.isolation.run(ctx)
	}()
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		s.redial(ctx)
	}()
	looped := make(chan error, 1)
	go func() {
		err := s.loop(ctx)
		if err != nil {
			stop(err)
		}
		looped <- err
	}()
	s.log.Info("serving", "address", scheme+"://"+listener.Addr().String(), "data", string(c.Data), "observe", c.Observe, "version", version)
	select {
	case <-ctx.Done():
	case err := <-served:
		stop(fmt.Errorf("API: %w", err))
	}
	s.log.Info("stopping")
	leave, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := web.Shutdown(leave); err != nil {
		_ = web.Close() // watchers that don't leave by themselves
	}
	err = <-looped
	<-told // it reads the store, which is closed next
	<-listened
	<-said
	<-dialled
	<-watched
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// lastLook lets an alert say that the loop stands still.
func (s *server) lastLook() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bulkhead_last_look_timestamp_seconds", Help: "When the newest look began that every driver has answered, by the site's clock; 0: none.",
	}, func() float64 {
		if at := s.plane.Looked(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	})
}

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// open opens everything. The ledger comes first: its lock is what keeps a second
// server from touching anything else.
func (s *server) open(ctx context.Context) error {
	d := s.c.Data
	var err error
	if s.master, err = s.c.master(); err != nil {
		return err
	}
	if s.pair, err = s.c.openPair(); err != nil {
		return err
	}
	if s.c.ReadOnly {
		return s.openReadOnly(ctx, "it was started with --read-only")
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("--data %s: %w", d, err)
	}
	if err := custody.Folder(string(d)); err != nil {
		return fmt.Errorf("--data %w", err)
	}
	own, err := d.ReadLineage()
	if err != nil {
		return err
	}
	if !own.Seen.IsZero() {
		return s.openReadOnly(ctx, fmt.Sprintf("devices take the word of another writer, %s, and this one writes %s: it stepped down. To let it go on instead, stop the other one for good and this one, then: %s", own.Seen, own.Lineage, d.TakesOver()))
	}
	if s.store, err = sqlite.Open(d.Ledger()); err != nil {
		if errors.Is(err, sqlite.ErrInUse) {
			return fmt.Errorf("--data %s: another server runs on this folder: %w", d, err)
		}
		return err
	}
	// Before keys and tokens are made: for nothing, if the address is taken.
	if s.listener, err = s.c.listen(); err != nil {
		return err
	}
	head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	if _, missing := os.Stat(d.Keys()); missing != nil && head > 0 {
		return fmt.Errorf("--data %s: the ledger has %d entries and keys/ is missing: restore it from the backup; new keys would not fit what was signed", d, head)
	}
	devices, err := s.dial(ctx)
	if err != nil {
		return err
	}
	// New keys count from now on, by the clock that entries are dated by.
	if s.keys, err = keystore.OpenWith(d.Keys(), s.clock.Now(), s.master); err != nil {
		return err
	}
	if place, err := keystore.Place(d.Keys()); err == nil {
		s.log.Info("the signing keys are sealed", "master key", place, "worth", keystore.Worth(place), "choose", "bulkhead key protect --help")
	}
	published := d.Published(s.keys)
	if err := s.firstTokens(); err != nil {
		return err
	}
	if s.c.Webhooks != "" {
		if err := s.openWebhooks(ctx); err != nil {
			return err
		}
	}
	s.isolation = newIsolationFeed(s.log)
	s.isolation.count(slices.Sorted(maps.Keys(devices.Fabrics)))
	s.feeds = append(s.feeds, s.isolation.feed)
	s.plane, err = run.Open(ctx, run.Config{
		Log: s.store, Published: published, Signers: s.keys, Devices: devices, Observe: s.c.Observe,
		Clock: s.clock, Mark: s.readMark(), Downtime: s.downtime(), Patience: lookPatience,
		Writer: writerName(), Lineage: d.LineageAfter(s.log), Run: datadir.NewID(), Logger: s.log, Notify: s.notify,
	})
	if err != nil {
		return err
	}
	s.clock = s.plane.SiteClock() // a machine's clock that jumped and came back would stop the loop until then
	s.sayTime()
	s.keepMark()
	return s.adopt(ctx)
}

// openWebhooks reads the file of --webhooks, and has its receivers told from now on.
func (s *server) openWebhooks(ctx context.Context) error {
	data, err := custody.ReadFile(s.c.Webhooks, custody.Small)
	if err != nil {
		return fmt.Errorf("--webhooks: %w", err)
	}
	hooks, err := api.ParseWebhooks(s.c.Webhooks, data)
	if err != nil {
		return fmt.Errorf("--webhooks: %w", err)
	}
	if s.notifier, err = api.OpenNotifier(ctx, hooks, s.keys, s.store, s.c.Data.Webhooks(), s.log); err != nil {
		return err
	}
	s.feeds = append(s.feeds, s.notifier.Feed)
	return nil
}

// openReadOnly opens what can be answered without writing anything. Nobody looks at the
// devices, so time is that of the last entry.
func (s *server) openReadOnly(ctx context.Context, why string) (err error) {
	d := s.c.Data
	if s.c.ReadOnly && (s.c.Observe || s.c.Webhooks != "" || len(s.c.Devices) > 0) {
		return usagef("--read-only: expected neither --observe nor --webhooks nor --devices: it looks at nothing and tells nobody")
	}
	if s.store, err = d.Reader(); err != nil {
		return err
	}
	if s.keys, err = d.OpenKeys(s.master); err != nil {
		return err
	}
	if s.tokens, err = api.OpenTokens(d.Tokens()); err != nil {
		return err
	}
	head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	clock := run.NewVirtualClock(time.Now())
	for e, err := range s.store.Read(ctx, max(head, 1)) {
		if err != nil {
			return err
		}
		clock = run.NewVirtualClock(e.Time)
	}
	s.clock, s.isolation = clock, newIsolationFeed(s.log) // nothing is ever fed to it
	s.plane, err = run.Open(ctx, run.Config{
		Log: s.store, Published: d.Published(s.keys), Signers: s.keys, Clock: clock, Observe: true, ReadOnly: why, Writer: writerName(), Logger: s.log,
	})
	if err != nil {
		return err
	}
	if s.listener, err = s.c.listen(); err != nil {
		return err
	}
	s.log.Warn("read-only", "why", why, "entries", head, "of", clock.Now().Format(time.RFC3339))
	return nil
}

// keepDown keeps beside the ledger that devices take another writer's word.
func (s *server) keepDown() error {
	var why *run.SteppedDown
	if s.down || !errors.As(s.plane.ReadOnly(), &why) {
		return nil
	}
	s.down = true
	return s.c.Data.StepDown(why.Refused.Newest.Lineage)
}

// adopt records, once a site is known, that it is only observed. It does so once:
// an approver who ends that while this server still runs is not overruled.
func (s *server) adopt(ctx context.Context) error {
	known, adopted := false, false
	s.plane.View(func(b *book.State) { known, adopted = b.Site != nil, b.Control.Adopted })
	if !s.c.Observe || s.adopted || !known {
		return nil
	}
	s.adopted = true
	if adopted {
		return nil
	}
	_, err := s.plane.Submit(ctx, "", book.Adopt{By: writerName(), Found: "served with --observe"})
	return err
}

func writerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}

// notify passes durable entries on. It is called with the plane locked, so
// nothing here may wait.
func (s *server) notify(entries []ledger.Entry) {
	for _, feed := range s.feeds {
		feed(entries)
	}
	if s.ticking.Load() {
		return
	}
	s.look()
}

// alarmPause is the least time between two looks because devices said that they
// changed: a device that never rests must not keep the loop from its work.
const alarmPause = 250 * time.Millisecond

// listen wakes the loop when devices say that they changed.
func (s *server) listen(ctx context.Context) {
	for ctx.Err() == nil {
		bounded, cancel := context.WithTimeout(ctx, time.Minute) // after a look there are other cursors
		err := s.plane.Await(bounded)
		cancel()
		if err == nil {
			select {
			case s.wake <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(alarmPause):
		}
	}
}

// loop looks at the devices as often as the policy says, by the plane's clock,
// and at once after a command; it publishes and keeps snapshots in between.
func (s *server) loop(ctx context.Context) error {
	beat := time.NewTicker(50 * time.Millisecond)
	defer beat.Stop()
	var looked, tried time.Time
	published, kept := time.Now(), s.head()
	woken := true
	for {
		if err := s.keepDown(); err != nil {
			s.log.Error("that this server has stepped down is not kept: its next start will ask the devices again", "why", err.Error())
		}
		if broken := s.plane.Broken(); broken != nil {
			return stopped(broken) // by a command, between two looks
		}
		if now := s.clock.Now(); woken || now.Sub(looked) >= s.poll() {
			looked, tried = now, time.Now()
			if err := s.tick(ctx); err != nil {
				return err
			}
		}
		if time.Since(published) >= publishEvery {
			published = time.Now()
			s.keepMark()
			if err := s.plane.Publish(ctx); err != nil {
				s.log.Error("checkpoint not published", "why", err.Error())
			}
		}
		if head := s.head(); head-kept >= snapshotEvery {
			kept = head
			if err := s.plane.SaveSnapshot(ctx); err != nil {
				s.log.Error("snapshot not kept", "why", err.Error())
			}
		}
		woken = false
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			woken = true
		case <-s.plane.Answered():
			changed, err := s.hear(ctx)
			if err != nil {
				return err
			}
			woken = changed
		case <-beat.C:
			// A driver that came back is not kept waiting for the next look.
			woken = time.Since(tried) >= retryEvery && s.plane.Failing()
		}
	}
}

// hear takes in what drivers have answered since the last look.
func (s *server) hear(ctx context.Context) (changed bool, err error) {
	s.ticking.Store(true)
	defer s.ticking.Store(false)
	if changed, err = s.plane.Hear(ctx); err != nil && ctx.Err() == nil {
		if broken := s.plane.Broken(); broken != nil {
			return false, stopped(broken)
		}
		s.log.Error("what drivers answered", "why", err.Error())
	}
	return changed, nil
}

// tick lets the plane look and act. Only a ledger that can't be written ends
// the server: what devices do wrong is looked at again.
func (s *server) tick(ctx context.Context) error {
	s.ticking.Store(true)
	defer s.ticking.Store(false)
	if err := s.adopt(ctx); err != nil {
		s.log.Error("adopt", "why", err.Error())
	}
	if err := s.plane.Tick(ctx); err != nil && ctx.Err() == nil {
		if broken := s.plane.Broken(); broken != nil {
			return stopped(broken)
		}
		s.log.Error("tick", "why", err.Error())
	}
	return nil
}

// stopped says what a person can do about a ledger that can't be written.
func stopped(broken error) error {
	return fmt.Errorf("%w; nothing that was answered is lost: mend the cause (a full disk, a clock), then start the server again", broken)
}

func (s *server) head() (seq uint64) {
	s.plane.View(func(b *book.State) { seq = b.Seq })
	return seq
}

func (s *server) poll() time.Duration {
	poll := time.Minute
	s.plane.View(func(b *book.State) {
		if b.Site != nil {
			poll = b.Policy.Poll
		}
	})
	return poll
}

// end publishes, keeps a snapshot and closes.
func (s *server) end() error {
	ctx := context.Background()
	var err error
	if s.plane.Broken() == nil {
		s.keepMark()
		err = errors.Join(s.plane.RecordLooks(ctx), s.plane.Publish(ctx), s.plane.SaveSnapshot(ctx))
	}
	err = errors.Join(err, s.close())
	s.log.Info("stopped")
	return err
}

func (s *server) close() error {
	if s.listener != nil {
		_ = s.listener.Close() // closed already, where it has served
	}
	for _, w := range s.wires {
		w.Close()
	}
	if s.store == nil {
		return nil
	}
	return s.store.Close()
}
