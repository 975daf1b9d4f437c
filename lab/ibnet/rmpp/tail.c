/*
 * The last 32 bytes of packets, for rmpp.c.
 *
 * libumad2sim hands on the first 224 bytes of a packet: the buffer that it makes has no
 * room for more, and what follows is whatever lay there. Subnet management has nothing
 * at the end, a packet of a long datagram has. This library is loaded after libumad2sim,
 * sees what it reads from its socket, and keeps the ends.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIM = 32, MAD = 256, TAIL = 32, KEPT = 4096, AT_CLASS = 1, AT_TID = 8, AT_FLAGS = 26, AT_SEGMENT = 28, CLASS_SA = 3, ACTIVE = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { uint8_t key[12], bytes[TAIL]; int used; } kept[KEPT];
static unsigned next_slot;
static ssize_t (*next_read)(int, void *, size_t);

static void key_of(uint8_t *key, const uint8_t *mad)
{
	memcpy(key, mad + AT_TID, 8);
	memcpy(key + 8, mad + AT_SEGMENT, 4);
}

/* rmpp_tail puts the end of a packet into its place, and says whether it knows it. */
int rmpp_tail(uint8_t *mad)
{
	uint8_t key[12];
	int found = 0;
	key_of(key, mad);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < KEPT && !found; i++) /* the newest first */
		if (kept[(next_slot - 1 - i) % KEPT].used && !memcmp(kept[(next_slot - 1 - i) % KEPT].key, key, sizeof key)) {
			memcpy(mad + MAD - TAIL, kept[(next_slot - 1 - i) % KEPT].bytes, TAIL);
			found = 1;
		}
	pthread_mutex_unlock(&lock);
	return found;
}

ssize_t read(int fd, void *buf, size_t count)
{
	const uint8_t *mad = (const uint8_t *)buf + SIM;
	if (!next_read)
		next_read = dlsym(RTLD_NEXT, "read");
	ssize_t n = next_read(fd, buf, count);
	if (count == SIM + MAD && n == SIM + MAD && mad[AT_CLASS] == CLASS_SA && mad[AT_FLAGS] & ACTIVE) {
		pthread_mutex_lock(&lock);
		key_of(kept[next_slot % KEPT].key, mad);
		memcpy(kept[next_slot % KEPT].bytes, mad + MAD - TAIL, TAIL);
		kept[next_slot++ % KEPT].used = 1;
		pthread_mutex_unlock(&lock);
	}
	return n;
}
