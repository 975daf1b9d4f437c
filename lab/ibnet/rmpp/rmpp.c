/*
 * Reliable multi-packet transfer for unchanged programs on a fabric that is simulated
 * or emulated (IBTA volume 1, 13.6).
 *
 * A program of libibumad gives its kernel a management datagram of any length; the
 * kernel sends it in packets of 256 bytes, waits for acknowledgements, and puts it
 * together at the other end. libumad2sim, which stands in for the kernel on such a
 * fabric, sends the first 256 bytes and drops the rest. This library is loaded before
 * it and does what the kernel does, with the real packets on the wire; tail.c, loaded
 * behind it, helps with what libumad2sim loses of a packet that comes in.
 *
 * What of it a fabric without loss does not need is not here: nothing is sent twice.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	UMAD = 64,       /* bytes of header before a datagram */
	MAD = 256,       /* bytes of a packet */
	HEADER = 56,     /* of them header: common 24, RMPP 12, subnet administration 20 */
	DATA = 200,      /* and data */
	PAYLOAD = 220,   /* what the RMPP header counts: data with the class's 20 */
	WINDOW = 64,     /* packets without an acknowledgement */
	PATIENCE = 5000, /* ms without a packet */
	MAX_FDS = 64,
	MAX_DATAGRAM = 64 << 20,

	CLASS_SA = 3,
	AT_CLASS = 1, AT_METHOD = 3, AT_TID = 8,
	AT_VERSION = 24, AT_TYPE = 25, AT_FLAGS = 26, AT_STATUS = 27, AT_SEGMENT = 28, AT_LENGTH = 32,
	TYPE_DATA = 1, TYPE_ACK = 2,
	ACTIVE = 1, FIRST = 2, LAST = 4,
	RESPONSE = 0x80,
	AT_UMAD_STATUS = 4, AT_UMAD_TIMEOUT = 8, AT_UMAD_LENGTH = 16,
	MAD_IOCTLS = 0x1b
};

/* A datagram that is on its way out. */
struct sending {
	uint64_t tid;
	uint32_t window; /* last packet that may be sent */
	struct sending *next;
};

/* A datagram that comes in, or that waits to be read with a buffer that it fits. */
struct coming {
	int fd;
	uint64_t tid;
	uint32_t segment; /* last packet seen */
	uint32_t window;
	size_t length, room;
	int whole;
	uint8_t *bytes; /* UMAD, then the datagram */
	struct coming *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t acknowledged = PTHREAD_COND_INITIALIZER;
static struct sending *out;
static struct coming *in;
static int fds[MAX_FDS], fd_count;

static ssize_t (*next_read)(int, void *, size_t);
static ssize_t (*next_write)(int, const void *, size_t);
static int (*next_poll)(struct pollfd *, nfds_t, int);
static int (*next_ioctl)(int, unsigned long, ...);
static int (*tail)(uint8_t *); /* see tail.c */

static void find_next(void)
{
	if (!next_ioctl) {
		next_read = dlsym(RTLD_NEXT, "read");
		next_write = dlsym(RTLD_NEXT, "write");
		next_poll = dlsym(RTLD_NEXT, "poll");
		tail = dlsym(RTLD_DEFAULT, "rmpp_tail");
		next_ioctl = dlsym(RTLD_NEXT, "ioctl");
	}
}

static uint32_t get32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return ntohl(v); }
static void put32(uint8_t *p, uint32_t v) { v = htonl(v); memcpy(p, &v, 4); }
static uint64_t tid_of(const uint8_t *mad) { uint64_t v; memcpy(&v, mad + AT_TID, 8); return v; }

static int is_umad(int fd)
{
	int found = 0;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < fd_count; i++)
		found |= fds[i] == fd;
	pthread_mutex_unlock(&lock);
	return found;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	find_next();
	if (_IOC_TYPE(request) == MAD_IOCTLS && !is_umad(fd)) {
		pthread_mutex_lock(&lock);
		if (fd_count < MAX_FDS)
			fds[fd_count++] = fd;
		pthread_mutex_unlock(&lock);
	}
	return next_ioctl(fd, request, argument);
}

/* may_send waits until a packet is within the window. */
static int may_send(struct sending *s, uint32_t segment)
{
	struct timespec until;
	int late = 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE / 1000;
	pthread_mutex_lock(&lock);
	while (segment > s->window && !late)
		late = pthread_cond_timedwait(&acknowledged, &lock, &until) == ETIMEDOUT;
	pthread_mutex_unlock(&lock);
	return !late;
}

ssize_t write(int fd, const void *buf, size_t count)
{
	const uint8_t *umad = buf, *mad = umad + UMAD;
	find_next();
	if (count < UMAD + HEADER || !is_umad(fd) || mad[AT_CLASS] != CLASS_SA || !(mad[AT_FLAGS] & ACTIVE) || mad[AT_TYPE] > TYPE_DATA)
		return next_write(fd, buf, count);
	size_t data = count - UMAD - HEADER;
	uint32_t segments = data ? (data + DATA - 1) / DATA : 1;
	uint32_t pad = segments * DATA - data;
	struct sending s = {tid_of(mad), 1, NULL};
	pthread_mutex_lock(&lock);
	s.next = out;
	out = &s;
	pthread_mutex_unlock(&lock);
	for (uint32_t i = 1; i <= segments && may_send(&s, i); i++) {
		uint8_t packet[UMAD + MAD] = {0}, *p = packet + UMAD;
		size_t from = (size_t)(i - 1) * DATA, length = data - from < DATA ? data - from : DATA;
		memcpy(packet, umad, UMAD + HEADER);
		memcpy(p + HEADER, mad + HEADER + from, length);
		p[AT_VERSION] = 1, p[AT_TYPE] = TYPE_DATA;
		p[AT_STATUS] = 0;
		p[AT_FLAGS] = (p[AT_FLAGS] & 0xf8) | ACTIVE | (i == 1 ? FIRST : 0) | (i == segments ? LAST : 0);
		put32(p + AT_SEGMENT, i);
		put32(p + AT_LENGTH, i == segments ? PAYLOAD - pad : i == 1 ? segments * PAYLOAD - pad : 0);
		if (next_write(fd, packet, sizeof packet) < 0)
			break;
	}
	pthread_mutex_lock(&lock);
	for (struct sending **at = &out; *at; at = &(*at)->next)
		if (*at == &s) {
			*at = s.next;
			break;
		}
	pthread_mutex_unlock(&lock);
	return count;
}

static void acknowledge(int fd, const uint8_t *received, uint32_t segment, uint32_t window)
{
	uint8_t packet[UMAD + MAD] = {0}, *p = packet + UMAD;
	memcpy(packet, received, UMAD + HEADER);
	memset(packet + AT_UMAD_STATUS, 0, 12); /* status, timeout, retries */
	p[AT_METHOD] ^= RESPONSE;
	p[AT_TYPE] = TYPE_ACK;
	p[AT_FLAGS] = ACTIVE;
	p[AT_STATUS] = 0;
	put32(p + AT_SEGMENT, segment);
	put32(p + AT_LENGTH, window);
	next_write(fd, packet, sizeof packet);
}

static void acknowledgement(const uint8_t *mad)
{
	pthread_mutex_lock(&lock);
	for (struct sending *s = out; s; s = s->next)
		if (s->tid == tid_of(mad) && get32(mad + AT_LENGTH) > s->window)
			s->window = get32(mad + AT_LENGTH);
	pthread_cond_broadcast(&acknowledged);
	pthread_mutex_unlock(&lock);
}

/* collect adds a packet of data to its datagram, and says whether that is whole. */
static int collect(int fd, const uint8_t *umad)
{
	const uint8_t *mad = umad + UMAD;
	uint32_t segment = get32(mad + AT_SEGMENT), window = 0;
	int whole = 0;
	struct coming *c;
	pthread_mutex_lock(&lock);
	for (c = in; c; c = c->next)
		if (c->fd == fd && c->tid == tid_of(mad) && !c->whole)
			break;
	if (!c && segment == 1 && (c = calloc(1, sizeof *c))) {
		c->fd = fd, c->tid = tid_of(mad), c->window = 1, c->length = UMAD + HEADER;
		c->next = in;
		in = c;
	}
	if (c && segment == c->segment + 1 && c->length + DATA <= MAX_DATAGRAM) {
		if (c->room < c->length + DATA) {
			size_t room = 2 * (c->length + DATA);
			uint8_t *more = realloc(c->bytes, room);
			if (!more)
				abort();
			c->bytes = more, c->room = room;
		}
		if (segment == 1)
			memcpy(c->bytes, umad, UMAD + HEADER);
		memcpy(c->bytes + c->length, mad + HEADER, DATA);
		c->length += DATA;
		c->segment = segment;
		if (mad[AT_FLAGS] & LAST) {
			uint32_t payload = get32(mad + AT_LENGTH);
			if (payload <= PAYLOAD)
				c->length -= PAYLOAD - payload;
			uint32_t length = c->length;
			memcpy(c->bytes + AT_UMAD_LENGTH, &length, 4);
			whole = c->whole = 1;
		}
		if (c->whole || segment >= c->window)
			window = c->window = segment + WINDOW;
	}
	pthread_mutex_unlock(&lock);
	if (window)
		acknowledge(fd, umad, segment, window);
	return whole;
}

/* take reads a datagram that is whole. One that does not fit stays, and its length is said. */
static ssize_t take(int fd, void *buf, size_t count)
{
	ssize_t n = 0;
	pthread_mutex_lock(&lock);
	for (struct coming **at = &in, *c; (c = *at); at = &c->next)
		if (c->fd == fd && c->whole) {
			memcpy(buf, c->bytes, count < c->length ? count : c->length);
			n = c->length;
			if (count < c->length) {
				errno = ENOSPC;
				n = -1;
				break;
			}
			*at = c->next;
			free(c->bytes);
			free(c);
			break;
		}
	pthread_mutex_unlock(&lock);
	return n;
}

ssize_t read(int fd, void *buf, size_t count)
{
	find_next();
	if (count < UMAD || !is_umad(fd))
		return next_read(fd, buf, count);
	for (;;) {
		uint8_t packet[UMAD + MAD], *mad = packet + UMAD;
		ssize_t n = take(fd, buf, count);
		if (n)
			return n;
		n = next_read(fd, packet, sizeof packet);
		uint32_t status;
		memcpy(&status, packet + AT_UMAD_STATUS, 4);
		if (n < (ssize_t)sizeof packet || status || mad[AT_CLASS] != CLASS_SA || !(mad[AT_FLAGS] & ACTIVE) ||
		    (mad[AT_TYPE] != TYPE_ACK && mad[AT_TYPE] != TYPE_DATA)) {
			if (n > 0)
				memcpy(buf, packet, count < (size_t)n ? count : (size_t)n);
			return n;
		}
		/* What the caller was told of by poll is used up: wait for what follows. */
		struct pollfd more = {fd, POLLIN, 0};
		if (mad[AT_TYPE] == TYPE_ACK) {
			acknowledgement(mad);
			next_poll(&more, 1, -1);
		} else if (!tail || !tail(mad)) {
			errno = EIO; /* half a packet is none */
			return -1;
		} else if (!collect(fd, packet) && next_poll(&more, 1, PATIENCE) == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

int poll(struct pollfd *list, nfds_t count, int timeout)
{
	int ready = 0;
	find_next();
	pthread_mutex_lock(&lock);
	for (nfds_t i = 0; i < count; i++)
		for (struct coming *c = in; c; c = c->next)
			ready |= c->fd == list[i].fd && c->whole;
	if (ready) {
		ready = 0;
		for (nfds_t i = 0; i < count; i++) {
			list[i].revents = 0;
			for (struct coming *c = in; c; c = c->next)
				if (c->fd == list[i].fd && c->whole)
					list[i].revents = POLLIN;
			ready += list[i].revents != 0;
		}
	}
	pthread_mutex_unlock(&lock);
	return ready ? ready : next_poll(list, count, timeout);
}
