/* SPDX-License-Identifier: MIT
 *
 * estate.c - what a process leaves to the next, as packets; see estate.h.
 *
 * A packet is its kind and its fields one after the other, without gaps: numbers as the
 * machine has them, texts with their length in front and a NUL behind, so that a parsed
 * one is used where it lies.
 */
#include "daemon/estate.h"

#include "base/strbuf.h"

enum {
	PIN_FOLLOWERS = 1,
	PIN_EXCHANGES = 2,
	PIN_BYTES = 16 + 8 + 5 * 4 + 1,
	WEIGHT_MAX = 1000 /* as in a file */
};

/* ---- writing ---- */

static void
put_u8(struct strbuf *out, unsigned value)
{
	uint8_t byte = (uint8_t)value;

	strbuf_append(out, &byte, sizeof byte);
}

static void
put_u32(struct strbuf *out, uint32_t value)
{
	strbuf_append(out, &value, sizeof value);
}

static void
put_u64(struct strbuf *out, uint64_t value)
{
	strbuf_append(out, &value, sizeof value);
}

static void
put_text(struct strbuf *out, const char *text)
{
	size_t n = strlen(text);

	put_u32(out, (uint32_t)n);
	strbuf_append(out, text, n + 1);
}

void
estate_write_head(const struct estate_head *head, struct strbuf *out)
{
	put_u8(out, ESTATE_HEAD);
	strbuf_append(out, head->secrets, sizeof head->secrets);
	put_u32(out, head->stays_ms);
}

void
estate_write_count(uint32_t n_amendments, struct strbuf *out)
{
	put_u8(out, ESTATE_AMENDMENTS);
	put_u32(out, n_amendments);
}

static void
put_row(struct strbuf *out, bool given, const struct config_backend *row)
{
	put_u8(out, given);
	if (!given)
		return;
	put_text(out, row->address);
	put_u32(out, row->weight);
	put_u8(out, row->state);
	put_u8(out, row->backup);
}

void
estate_write_amendment(const struct amendment *a, struct strbuf *out)
{
	put_u8(out, ESTATE_AMENDMENT);
	put_text(out, a->upstream);
	put_text(out, a->name);
	put_row(out, a->in_file, &a->file);
	put_row(out, a->is_there, &a->row);
}

void
estate_write_backend(const struct estate_backend *b, struct strbuf *out)
{
	const uint32_t numbers[] = {b->announced_weight, b->refused, b->failures,
	    b->errors, b->closes, b->slow, b->ejections};

	put_u8(out, ESTATE_BACKEND);
	put_u32(out, b->number);
	put_text(out, b->upstream);
	put_text(out, b->name);
	put_text(out, b->address);
	put_text(out, b->place);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		put_u32(out, numbers[i]);
	put_u64(out, b->unhealthy_since_ms);
	put_u64(out, b->failing_until_ms);
	put_u64(out, b->ejected_until_ms);
	put_u64(out, b->up_since_ms);
	put_u64(out, b->latency);
}

void
estate_write_end(struct strbuf *out)
{
	put_u8(out, ESTATE_END);
}

void
estate_add_pin(const struct estate_pin *pin, struct strbuf *out)
{
	if (out->len == 0)
		put_u8(out, ESTATE_PINS);
	put_u64(out, pin->key.lo);
	put_u64(out, pin->key.hi);
	put_u64(out, pin->stable);
	put_u32(out, pin->backend);
	put_u32(out, pin->websocket_left_ms);
	put_u32(out, pin->http_left_ms);
	put_u32(out, pin->age_ms);
	put_u32(out, pin->seats);
	put_u8(out, (pin->followers ? PIN_FOLLOWERS : 0) |
			(pin->exchanges ? PIN_EXCHANGES : 0));
}

bool
estate_has_room(const struct strbuf *out)
{
	return out->len + 1 + PIN_BYTES <= ESTATE_PACKET;
}

/* ---- parsing ---- */

/* What is left of a packet. After a field that is not there, or is not as it should be,
 * all others are nothing. */
struct reader {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static void
take(struct reader *r, void *to, size_t n)
{
	r->bad = r->bad || r->n < n;
	if (r->bad) {
		memset(to, 0, n);
		return;
	}
	memcpy(to, r->p, n);
	r->p += n;
	r->n -= n;
}

static uint8_t
take_u8(struct reader *r)
{
	uint8_t value;

	take(r, &value, sizeof value);
	return value;
}

static uint32_t
take_u32(struct reader *r)
{
	uint32_t value;

	take(r, &value, sizeof value);
	return value;
}

static uint64_t
take_u64(struct reader *r)
{
	uint64_t value;

	take(r, &value, sizeof value);
	return value;
}

static unsigned
take_below(struct reader *r, unsigned limit)
{
	uint8_t value = take_u8(r);

	r->bad = r->bad || value >= limit;
	return r->bad ? 0 : value;
}

static bool
take_bool(struct reader *r)
{
	return take_below(r, 2) == 1;
}

static const char *
take_text(struct reader *r)
{
	size_t n = take_u32(r);
	const char *text = (const char *)r->p;

	r->bad = r->bad || n >= r->n || memchr(text, '\0', n) || text[n] != '\0';
	if (r->bad)
		return "";
	r->p += n + 1;
	r->n -= n + 1;
	return text;
}

/* A name or an address, which are never empty. The types of the configuration's structs
 * are those of texts that one owns. */
static char *
take_name(struct reader *r)
{
	const char *text = take_text(r);

	r->bad = r->bad || !*text;
	return (char *)(uintptr_t)text;
}

static bool
take_row(struct reader *r, char *name, struct config_backend *row_r)
{
	if (!take_bool(r))
		return false;
	row_r->name = name;
	row_r->address = take_name(r);
	row_r->weight = take_u32(r);
	row_r->state = take_below(r, BACKEND_DOWN + 1);
	row_r->backup = take_bool(r);
	r->bad = r->bad || row_r->weight > WEIGHT_MAX;
	return true;
}

static void
take_amendment(struct reader *r, struct amendment *a)
{
	*a = (struct amendment){.upstream = take_name(r)};
	a->name = take_name(r);
	a->in_file = take_row(r, a->name, &a->file);
	a->is_there = take_row(r, a->name, &a->row);
	r->bad = r->bad || (!a->in_file && !a->is_there);
}

static void
take_backend(struct reader *r, struct estate_backend *b)
{
	uint32_t *const numbers[] = {&b->announced_weight, &b->refused, &b->failures,
	    &b->errors, &b->closes, &b->slow, &b->ejections};

	b->number = take_u32(r);
	b->upstream = take_name(r);
	b->name = take_name(r);
	b->address = take_name(r);
	b->place = take_text(r);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		*numbers[i] = take_u32(r);
	b->unhealthy_since_ms = take_u64(r);
	b->failing_until_ms = take_u64(r);
	b->ejected_until_ms = take_u64(r);
	b->up_since_ms = take_u64(r);
	b->latency = take_u64(r);
	r->bad =
	    r->bad || b->number > ESTATE_NUMBER_MAX || b->announced_weight > WEIGHT_MAX;
}

static void
take_pins(struct reader *r, struct estate_packet *packet)
{
	packet->pins.at = r->p;
	packet->pins.n = r->n / PIN_BYTES;
	r->bad = r->bad || packet->pins.n == 0 || r->n % PIN_BYTES;
	for (size_t i = 0; !r->bad && i < packet->pins.n; i++)
		r->bad =
		    r->p[(i + 1) * PIN_BYTES - 1] > (PIN_FOLLOWERS | PIN_EXCHANGES) ||
		    estate_pin_at(packet, i).backend > ESTATE_NUMBER_MAX;
	r->n = 0;
}

bool
estate_parse(const void *p, size_t n, struct estate_packet *packet_r)
{
	struct reader r = {p, n, n > ESTATE_PACKET};

	packet_r->kind = take_u8(&r);
	switch (packet_r->kind) {
	case ESTATE_HEAD:
		take(&r, packet_r->head.secrets, sizeof packet_r->head.secrets);
		packet_r->head.stays_ms = take_u32(&r);
		break;
	case ESTATE_AMENDMENTS: packet_r->n_amendments = take_u32(&r); break;
	case ESTATE_AMENDMENT: take_amendment(&r, &packet_r->amendment); break;
	case ESTATE_BACKEND: take_backend(&r, &packet_r->backend); break;
	case ESTATE_PINS: take_pins(&r, packet_r); break;
	case ESTATE_END: break;
	default: r.bad = true;
	}
	return !r.bad && r.n == 0;
}

struct estate_pin
estate_pin_at(const struct estate_packet *packet, size_t i)
{
	struct reader r = {packet->pins.at + i * PIN_BYTES, PIN_BYTES, false};
	struct estate_pin pin = {.key.lo = take_u64(&r)};
	unsigned flags;

	pin.key.hi = take_u64(&r);
	pin.stable = take_u64(&r);
	pin.backend = take_u32(&r);
	pin.websocket_left_ms = take_u32(&r);
	pin.http_left_ms = take_u32(&r);
	pin.age_ms = take_u32(&r);
	pin.seats = take_u32(&r);
	flags = take_u8(&r);
	pin.followers = flags & PIN_FOLLOWERS;
	pin.exchanges = flags & PIN_EXCHANGES;
	return pin;
}
